"""Where each artefact of the pipeline lives, relative to the root of the repository."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from leverframe.errors import SourceError

Exists = Callable[[Path], bool]  # tells whether there is a file or folder at a path relative to the root

STATIC = "static"  # the partition name of tables whose rows have no time
RAW = Path("data/raw")
FEATURES = Path("data/features")
FEATURE_TABLE = "features"  # what the features of a partition are called among the tables
TRAIN = Path("data/training/train.parquet")
HOLDOUT = Path("data/training/holdout.parquet")
PREDICTIONS = Path("data/predictions.parquet")
MODEL = Path("models/model.skops")
MODEL_DESCRIPTION = Path("models/model.json")
REPORTS = Path("reports")
CONTRACTS = REPORTS / "contracts"
PROFILES = REPORTS / "profiles"
FEATURE_PROFILES = REPORTS / "features"
SKETCHES = REPORTS / "sketches"
FEATURE_SKETCHES = SKETCHES / "features"
TRAINING_SET = REPORTS / "training-set.json"
LEARNING_SET = REPORTS / "learning-set.json"  # without the hold-out: a change there must not train again
METRICS = REPORTS / "metrics.json"
PLOTS = REPORTS / "plots"
PICTURES = REPORTS / "pictures"
CODE = REPORTS / "code"
MODEL_CARD = REPORTS / "model-card.md"
SNAPSHOT = Path("data/snapshot.bin")
BUNDLE = Path("models/bundle")
BUNDLE_REPORT = REPORTS / "bundle.json"
PARITY = REPORTS / "parity.json"
RESULTS = Path(".leverframe/levers")  # the last result of each lever; the card is made of it
REPORT = Path(".leverframe/report.md")  # the card as it was made last
MONITOR = Path(".leverframe/monitor")  # what the monitor wrote last, a folder an environment
RETRAIN = Path(".leverframe/retrain")  # the work folder and the lock of retraining
INFRA = Path(".leverframe/infra")  # plans without secrets, local states and data of Terraform, a folder an environment
PRIVATE = Path(".leverframe")  # of this machine alone
VALID_SETTINGS = Path(".leverframe/valid-settings")  # digest of settings that were valid
STAGE_LOGS = Path(".leverframe/stages")  # never an output: times would change hashes


def require(paths: Iterable[Path], exists: Exists, *, why: str) -> None:
    """Raise ``SourceError`` for the first path at which there is nothing; ``why`` tells who needs it."""
    for path in paths:
        if not exists(path):
            raise SourceError(f"{path} is missing", why=why, next="`dvc pull` fetches it, `dvc repro` makes it")


def raw(table: str, partition: str) -> Path:
    """Return the file of one partition of a table as ingested."""
    return RAW / f"{table}.parquet" if partition == STATIC else RAW / table / f"{partition}.parquet"


def features(partition: str) -> Path:
    """Return the file with the features and labels of one partition of the spine."""
    return FEATURES / f"{partition}.parquet"


def contract_report(partition: str) -> Path:
    """Return the file that tells which constraints the tables of a partition pass."""
    return CONTRACTS / f"{partition}.json"


def profile(partition: str) -> Path:
    """Return the file with the statistics of the tables of a partition."""
    return PROFILES / f"{partition}.json"


def sketch(partition: str) -> Path:
    """Return the file with the sketches of the tables of a partition, by which revisions are compared."""
    return SKETCHES / f"{partition}.json"


def feature_profile(partition: str) -> Path:
    """Return the file with the statistics of the features of a partition."""
    return FEATURE_PROFILES / f"{partition}.json"


def feature_sketch(partition: str) -> Path:
    """Return the file with the sketch of the features of a partition."""
    return FEATURE_SKETCHES / f"{partition}.json"


def code(stage: str) -> Path:
    """Return the file with the digests of the code that the stages of each partition run."""
    return CODE / f"{stage}.json"


def lever(name: str) -> Path:
    """Return the file with what a lever found."""
    return RESULTS / f"{name}.json"
