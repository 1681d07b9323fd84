"""LightGBM, XGBoost and imbalanced-learn, each in an environment of its own beside ours, every night.

They are no packages of the project, so they are installed into a folder when this is tried. CatBoost is left out: its
wheel has 100 megabytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leverframe.domain import layout
from leverframe.domain.model.bundle.bundle_manifest import read_manifest
from tests.integration import shop as shops
from tests.integration.shop import CASE

PACKAGES = ("lightgbm==4.7.0", "xgboost-cpu==3.2.0", "imbalanced-learn==0.14.2", "sklearn-compat==0.1.6")
STORED = """
import sys, warnings
import numpy as np
from pathlib import Path
from leverframe.adapters.sklearn import SklearnModels
from leverframe.adapters.sklearn.storing import dumped
from imblearn.ensemble import BalancedBaggingClassifier, BalancedRandomForestClassifier
from imblearn.ensemble import EasyEnsembleClassifier, RUSBoostClassifier
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE, KMeansSMOTE, RandomOverSampler, SVMSMOTE
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.under_sampling import NearMiss, RandomUnderSampler, TomekLinks
from imblearn.pipeline import make_pipeline
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor
warnings.simplefilter("ignore")
draw = np.random.default_rng(0)
rows = draw.normal(size=(400, 4))
few, many, numbers = (rows[:, 0] > 0.6).astype(int), np.digitize(rows[:, 0], [-0.5, 0.5]), rows[:, 0] * 3
trees = {"n_estimators": 4, "n_jobs": 1}
models = [(LGBMClassifier(verbose=-1, **trees), few), (LGBMClassifier(verbose=-1, **trees), many)]
models += [(LGBMRegressor(verbose=-1, **trees), numbers), (XGBRegressor(**trees), numbers)]
models += [(XGBClassifier(**trees), many), (XGBRFClassifier(**trees), few), (XGBRFRegressor(**trees), numbers)]
samplers = (ADASYN, SMOTE, BorderlineSMOTE, KMeansSMOTE, RandomOverSampler, SVMSMOTE, SMOTEENN, SMOTETomek, NearMiss,
            RandomUnderSampler, TomekLinks)
models += [(make_pipeline(sampler(), LogisticRegression()), few) for sampler in samplers]
ensembles = (BalancedBaggingClassifier, BalancedRandomForestClassifier, EasyEnsembleClassifier, RUSBoostClassifier)
models += [(ensemble(n_estimators=3, random_state=0), few) for ensemble in ensembles]
for model, labels in models:
    model.fit(rows, labels)
    kept = SklearnModels(Path()).load(dumped(model))
    np.testing.assert_array_equal(kept.predict(rows), model.predict(rows))
print(len(models))
"""
MODEL = '''
"""Boosted trees of LightGBM over the numbers."""

from __future__ import annotations

from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline


def estimator(features, *, label, iterations):
    """Return the trees, which take missing numbers."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    numbers = [feature.name for feature in features if feature.kind != "categorical"]
    trees = LGBMRegressor if label.kind == "regression" else LGBMClassifier
    columns = ColumnTransformer([("numbers", "passthrough", numbers)])
    return make_pipeline(columns, trees(n_estimators=iterations, random_state=0, n_jobs=1, verbose=-1))
'''


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the libraries, and nothing that we have ourselves."""
    folder = tmp_path_factory.mktemp("libraries")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PACKAGES]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.deep
def test_estimators_of_other_libraries_are_stored_and_opened(libraries: Path) -> None:
    """By whoever declares nothing, and predict as before."""
    environment = {**os.environ, "PYTHONPATH": str(libraries)}
    done = subprocess.run([sys.executable, "-c", STORED], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


@pytest.mark.deep
def test_a_model_of_lightgbm_is_trained_judged_and_bundled(
    libraries: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From `dvc repro` to a bundle that proved its golden rows: scikit-learn's interface serves it, and says why."""
    shop = shops.copied(shops.finished(tmp_path_factory), tmp_path)
    shop.repository.write((CASE / "model.py").as_posix(), MODEL)
    environment = {**shop.repository.environment, "PYTHONPATH": str(libraries)}
    for command in (["leverframe", "stages", "--write"], ["dvc", "repro", "bundle"]):
        done = subprocess.run(command, cwd=shop.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((shop.root / layout.BUNDLE_REPORT).read_text())
    assert report["engine"] == "skops"
    assert "LGBM" in report["conversion"]["why"]
    manifest = read_manifest((shop.root / layout.BUNDLE / "MANIFEST.json").read_bytes(), "here")
    assert manifest.model_file == "model.skops"
    assert "lightgbm.basic.Booster" in json.loads((shop.root / layout.MODEL_DESCRIPTION).read_text())["types"]
