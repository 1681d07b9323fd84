"""Repositories that train with XGBoost, LightGBM, CatBoost and MLflow: gate, bundle, serve, deploy, roll back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leverframe.domain.verdict import REFUSED
from tests.integration.four_libraries import LIBRARIES, changed, deployed, engine_of, gated, made, rows_of, served
from tests.profiles import by_day


@pytest.mark.parametrize("name", by_day(LIBRARIES))
def test_a_repository_of_somebody_else_goes_through_the_whole_loop(tmp_path: Path, name: str) -> None:
    """The gate lets both models predict the same rows, and what is served is what the library itself predicts."""
    library = LIBRARIES[name]
    shop = made(tmp_path, library)
    rows, apart = rows_of(shop), []

    def compared() -> str:
        """Take note of how far the server is from the library with the model that is checked out."""
        by_library = np.asarray(library.predict(shop.root / library.model, rows), np.float64)
        apart.append(float(np.abs(served(shop, rows) - by_library).max()))
        return engine_of(shop)

    try:
        first = deployed(shop)["serving"]["manifest"]["bundle"]
        engine = compared()
        changed(shop, "worse", 25, 0.5, "train")
        refused = gated(shop, REFUSED)
        assert refused["evidence"] == "both models on the same rows"
        assert [violation["reason"] for violation in refused["violations"]] == ["metric-dropped"]
        changed(shop, "better", 60, 0.0)
        passed = gated(shop)
        assert (passed["evidence"], passed["rows"], passed["days"]) == ("both models on the same rows", 400, 20)
        second = deployed(shop)
        assert any("replay" in step["step"] for step in second["steps"]), second["steps"]
        compared()
        back = deployed(shop, "rollback", "--because", "a test")
        assert back["serving"]["manifest"]["bundle"] == first != second["serving"]["manifest"]["bundle"]
        shop.repository.git("checkout", "--quiet", "main")
        shop.repository.dvc("checkout", "--quiet")
        compared()
    finally:
        shop.run("serve", "--stop", "--name", "local")
    print(f"{name}, served by {engine}: largest difference {max(apart):.1e} over {len(apart)} x {rows.height} rows")
    assert max(apart) <= (1e-6 if engine == "onnx" else 0.0)
