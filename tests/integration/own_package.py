"""A package as a user has one: a runtime of MLServer and a function, which open a file that nobody else knows.

A folder of it stands for what is installed: servers and their processes find it by ``PYTHONPATH``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

RUNTIME, FUNCTION = "scorers.runtimes.Scorer", "scorers.functions:predict"
_RUNTIMES = """\
import json
import time
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, PandasCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse
from mlserver.utils import get_model_uri


class Scorer(MLModel):
    async def load(self):
        self._weights = json.loads(Path(await get_model_uri(self._settings)).read_text())
        return True

    async def predict(self, payload):
        rows = self.decode_request(payload, default_codec=PandasCodec)
        while Path(self._weights.get("held", "/nothing")).exists():  # as one that computes for long
            time.sleep(0.01)
        if (rows["amount"] > 1e6).any():
            raise InferenceError("an amount is above a million")
        sums = rows["amount"].fillna(0.0) * self._weights["amount"] + (rows["plan"] == "pro") * self._weights["pro"]
        scores = 1 / (1 + np.exp(-sums.to_numpy(float)))
        outputs = [NumpyCodec.encode_output("label", (scores > 0.5).astype(int)),
                   NumpyCodec.encode_output("score", scores)]
        return InferenceResponse(model_name=self.name, outputs=outputs)


class Refusing(Scorer):
    async def load(self):
        return False


class Texts(Scorer):
    async def predict(self, payload):
        from mlserver.codecs import StringCodec

        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("word", ["a"])])


class Silent(Scorer):
    async def predict(self, payload):
        return None


class Late(Scorer):
    async def predict(self, payload):
        raise TimeoutError("the other machine does not answer")


class Leaving(Scorer):
    async def predict(self, payload):
        raise SystemExit(3)


class Moody(Scorer):
    async def load(self):
        import os

        self._mood = int.from_bytes(os.urandom(4), "big") / 2**32  # numbers of processes may be neighbours
        return True

    async def predict(self, payload):
        scores = np.full(payload.inputs[0].shape[0], self._mood)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("score", scores)])


NOT_ONE = 1
"""
_FUNCTIONS = """\
import json
import sys

import numpy as np


def predict(rows, model):
    weights, table = json.loads(model.read_text()), rows.to_pandas()
    if (table["amount"] > 1e6).any():
        raise ValueError("an amount is above a million")
    sums = table["amount"].fillna(0.0) * weights["amount"] + (table["plan"] == "pro") * weights["pro"]
    return 1 / (1 + np.exp(-sums))


def leave(rows, model):
    sys.exit(3)


def interrupt(rows, model):
    raise KeyboardInterrupt


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def fail(rows, model):
    raise Speechless


def labels(rows, model):
    return predict(rows, model) > 0.5


def texts(rows, model):
    return ["yes"] * rows.num_rows


def first(rows, model):
    return predict(rows, model)[:1]
"""


def installed(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let processes that are started find the package."""
    package = folder / "site/scorers"
    package.mkdir(parents=True)
    for name, content in (("__init__", ""), ("runtimes", _RUNTIMES), ("functions", _FUNCTIONS)):
        (package / f"{name}.py").write_text(content, encoding="utf-8")
    patch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])]))


def rows() -> pl.DataFrame:
    """Return 200 rows with a number that has gaps, a text, a label, and a number of each row that no model sees."""
    draw = np.random.default_rng(3)
    amounts, plans = draw.normal(size=200).round(3), draw.choice(["basic", "pro"], 200)
    return pl.DataFrame({
        "amount": [None if number % 9 == 0 else value for number, value in enumerate(amounts.tolist())],
        "plan": plans, "bought": (amounts > 0).astype(int), "id": np.arange(200),
    })  # fmt: skip


def weights(amount: float, pro: float, **more: str) -> str:
    """Return the content of a model."""
    return json.dumps({"amount": amount, "pro": pro, **more})


def expected(table: pl.DataFrame, amount: float, pro: float) -> NDArray[np.float64]:
    """Return what the runtime and the function predict."""
    sums = table["amount"].fill_null(0.0).to_numpy() * amount + (table["plan"] == "pro").to_numpy() * pro
    scores: NDArray[np.float64] = 1 / (1 + np.exp(-sums))
    return scores
