"""While a server loads: which requests wait."""

from __future__ import annotations

from leverframe.serving.loading import Loading


def test_a_model_serves_from_the_first_release_on_that_is_loaded() -> None:
    """A request for a version waits for that one; what cannot be loaded is waited for no longer."""
    loading = Loading()
    assert not loading
    loading.begin([("shop", "3"), ("shop", "2"), ("shop", "1")])
    assert loading.waits("shop", None)
    assert loading.waits("shop", "")
    assert not loading.waits("shop", "9")
    assert not loading.waits("other", None)
    loading.end("shop", "3", loaded=False)
    assert (loading.waits("shop", None), loading.waits("shop", "3")) == (True, False)
    loading.end("shop", "2", loaded=True)
    assert (loading.waits("shop", None), loading.waits("shop", "1"), bool(loading)) == (False, True, True)
    loading.end("shop", "1", loaded=False)
    assert (loading.waits("shop", "1"), bool(loading)) == (False, False)
