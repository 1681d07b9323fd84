"""Models of other bytes, compared by what they predict: real models, the real cache of DVC, the real runtimes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.adapters.onnx import Onnx
from leverframe.adapters.sklearn.storing import dumped
from leverframe.application.conversion import in_child
from leverframe.application.rerun import Rerun, compared
from leverframe.domain import layout
from leverframe.domain.model.table import model_inputs
from leverframe.domain.pipeline.status.resolved import Recorded
from leverframe.settings.params import ConversionSettings, TrainSettings
from tests.integration.small_case import FEATURES, HERE, Own, SmallCase, make
from tests.warm import WarmRepository

TREES = "sklearn.ensemble:HistGradientBoostingClassifier"
MODEL, BUNDLE = str(layout.MODEL), str(layout.BUNDLE)


def settings(**params: object) -> TrainSettings:
    """Return trees of scikit-learn alone, whose types we know."""
    return TrainSettings(estimator=TREES, params={"max_iter": 8, "random_state": 0, **params})


class Kept:
    """A repository with a small case, and a cache of DVC that has what is claimed."""

    def __init__(self, folder: Path) -> None:
        self.root = WarmRepository.create(folder).root
        self.case: SmallCase = make(self.root, "binary", rows=300)
        self.rerun = Rerun(self.root, [], lambda _: None)

    def cached(self, data: bytes, ending: str = "") -> Recorded:
        """Put something into the cache, and return its record."""
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        place = self.root / ".dvc/cache/files/md5" / digest[:2] / f"{digest[2:]}{ending}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return Recorded(f"{digest}{ending}")

    def trained(self, **params: object) -> bytes:
        """Train, and return the bytes of the model."""
        self.case.train(settings(**params))
        return (self.root / layout.MODEL).read_bytes()

    def bundled(self, files: dict[str, bytes]) -> Recorded:
        """Write a bundle, and return its record in the cache."""
        folder = self.root / layout.BUNDLE
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        listed = [{"md5": self.cached(data).md5, "relpath": name} for name, data in files.items()]
        return self.cached(json.dumps(listed).encode(), ".dir")

    def in_onnx(self, model: bytes) -> bytes:
        """Return a model in ONNX."""
        inputs = model_inputs(self.case.table(layout.HOLDOUT), FEATURES, file=layout.HOLDOUT)
        columns = {feature.name: inputs.get_column(feature.name).to_numpy() for feature in FEATURES}
        return Onnx(in_child(self.root, str), ConversionSettings()).convert(model, FEATURES, columns)[0]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Return the repository, whose tests each train."""
    return Kept(tmp_path_factory.mktemp("models"))


def test_a_model_of_other_bytes_that_predicts_the_same_is_told_from_another_one(kept: Kept) -> None:
    """A setting that changes no prediction changes the bytes; fewer trees change both, and the figures say so."""
    same, poor = kept.trained(n_iter_no_change=99), kept.trained(max_iter=1)
    now = kept.trained()
    assert len({same, poor, now}) == 3
    alike = kept.rerun.same_model(MODEL, kept.cached(same), 1e-4)
    assert alike is not None
    assert (alike.rows, alike.differing) == (300, 0)
    other = kept.rerun.same_model(MODEL, kept.cached(poor), 1e-4)
    assert other is not None
    assert other.differing > 100
    assert 0.05 < other.largest < 1
    assert kept.rerun.same_model(MODEL, Recorded("0" * 32), 1e-4) is None  # the cache has it not
    assert kept.rerun.same_model(MODEL, kept.cached(b"PK no model"), 1e-4) is None


def test_a_claimed_model_with_types_of_its_own_is_not_opened(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening would run its code; nobody verified what is claimed."""
    kept.trained()
    own = dumped(Own().fit(np.array([[0.0, 1.0], [1.0, 0.0]]), [0, 1]))
    opened = list[str]()
    monkeypatch.setattr(Own, "__setstate__", lambda *_: opened.append("opened"), raising=False)
    assert HERE.encode() in own or b"Own" in own
    assert kept.rerun.same_model(MODEL, kept.cached(own), 1e-4) is None
    assert opened == []


def test_the_model_of_a_bundle_is_asked_in_the_runtime_of_onnx(kept: Kept) -> None:
    """Whatever else differs is told, but for last digits of a text and the digests that it names."""
    poor = kept.in_onnx(kept.trained(max_iter=1))
    model = kept.trained()
    good = kept.in_onnx(model)
    rest = {"model.skops": model, "snapshot.bin": b"rows", "golden.jsonl": b'{"p": 0.5, "of": "%s"}' % (b"a" * 32)}
    claimed = kept.bundled({"model.onnx": poor, **rest})
    assert kept.rerun.same_model(BUNDLE, claimed, 1e-4) is None  # the same model: something else differs
    kept.bundled({"model.onnx": good, **rest, "golden.jsonl": b'{"p": 0.500001, "of": "%s"}' % (b"b" * 32)})
    difference = kept.rerun.same_model(BUNDLE, claimed, 1e-4)
    assert difference is not None
    assert difference.differing > 100
    assert not difference.others
    kept.bundled({"model.onnx": good, **rest, "snapshot.bin": b"other rows"})
    more = kept.rerun.same_model(BUNDLE, claimed, 1e-4)
    assert more == replace(difference, others=True)
    kept.bundled({"model.onnx": good, **rest, "golden.jsonl": b'{"p": 0.9, "of": "%s"}' % (b"a" * 32)})
    assert kept.rerun.same_model(BUNDLE, claimed, 1e-4) == replace(difference, others=True)
    renamed = good.replace(b"skl2onnx", b"skl3onnx")  # who made it is no part of what it predicts
    assert renamed != good
    alike = kept.rerun.same_model(BUNDLE, kept.bundled({"model.onnx": good, **rest}), 1e-4)
    assert alike is None
    claimed = kept.bundled({"model.onnx": renamed, **rest})
    kept.bundled({"model.onnx": good, **rest})
    alike = kept.rerun.same_model(BUNDLE, claimed, 1e-4)
    assert alike is not None
    assert (alike.differing, alike.largest) == (0, 0.0)
    claimed = kept.bundled({"model.onnx": renamed, **rest, "model.skops": b"a model of somebody"})
    kept.bundled({"model.onnx": good, **rest})
    assert kept.rerun.same_model(BUNDLE, claimed, 1e-4) == replace(alike, others=True)  # the one that was converted
    claimed = kept.bundled({"model.onnx": renamed, **{name: rest[name] for name in rest if name != "model.skops"}})
    kept.bundled({"model.onnx": good, **rest})
    assert kept.rerun.same_model(BUNDLE, claimed, 1e-4) == replace(alike, others=True)
    for broken in (b"no model", renamed.replace(b"wind", b"dniw")):  # a model of other features takes no such row
        claimed = kept.bundled({"model.onnx": broken, **rest})
        kept.bundled({"model.onnx": good, **rest})
        assert kept.rerun.same_model(BUNDLE, claimed, 1e-4) is None
    assert kept.rerun.same_model(BUNDLE, kept.cached(b"no list", ".dir"), 1e-4) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0, 1), st.booleans())
def test_figures_are_of_the_rows_that_differ(values: list[float], shift: float, several: bool) -> None:
    """Whatever the shape of predictions; models of other classes are not compared."""
    ours = np.array(values)
    theirs = ours.copy()
    theirs[0] += shift
    if several:
        ours, theirs = (np.stack([predictions, 1 - predictions], axis=1) for predictions in (ours, theirs))
    delta = compared(ours, theirs, 1e-4)
    assert delta is not None
    assert (delta.rows, delta.differing) == (len(values), int(not np.isclose(ours, theirs, rtol=1e-4, atol=1e-4).all()))
    assert abs(delta.largest - shift) < 1e-9
    assert compared(ours, ours[:-1], 1e-4) is None
