"""One process that serves the stub providers, a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.terraform.programs import Stubs, stubs


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stubs]:
    with stubs(tmp_path_factory.mktemp("terraform")) as running:
        yield running
