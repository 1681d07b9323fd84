"""A clinic as a case of somebody: three tables with semicolons between their fields, and what is declared of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

SOURCES = '''
"""Appointments with semicolons between their fields, patients by numbers with leading zeros, and clinics."""

import polars as pl

from leverframe.case import Csv, Source

PATIENT = {"patient": pl.String}


def appointments(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row an appointment; whether the patient came is known when it starts."""
    times = pl.col("booked", "starts").str.to_datetime("%Y-%m-%d %H:%M", time_zone="UTC")
    return rows.with_columns(times, no_show=(pl.col("no_show") == "yes").cast(pl.Int64))


SOURCES = {
    "appointments": Source(
        Csv("raw/appointments.csv", separator=";", types=PATIENT | {"booked": pl.String, "starts": pl.String}),
        transform=appointments, event_time="booked", known_at="starts",
    ),
    "patients": Source(Csv("raw/patients.csv", separator=";", types=PATIENT)),
    "clinics": Source(Csv("raw/clinics.csv", separator=";")),
}
'''

CONTRACTS = '''
import pandera.polars as pa

from leverframe.case import Contract, ForeignKey, UniqueKey


class Appointments(pa.DataFrameModel):
    """One row an appointment."""

    appointment: str
    patient: str = pa.Field(str_matches=r"^[0-9]{6}$")
    clinic: str
    channel: str = pa.Field(isin=("phone", "web"))
    no_show: int = pa.Field(isin=(0, 1))


class Patients(pa.DataFrameModel):
    """One row a patient."""

    patient: str
    born: int = pa.Field(in_range=(1900, 2024))
    insured: str


class Clinics(pa.DataFrameModel):
    """One row a clinic."""

    clinic: str
    rooms: int


CONTRACTS = {
    "appointments": Contract(
        Appointments, monitors=(UniqueKey(("appointment",)), ForeignKey(("patient",), "patients"))
    ),
    "patients": Contract(Patients, monitors=(UniqueKey(("patient",)),)),
    "clinics": Contract(Clinics, monitors=(UniqueKey(("clinic",)),)),
}
'''

STAR = """\
entities:
  appointment: [appointment]
  patient: [patient]
  clinic: [clinic]
spine: {table: appointments, key: appointment, columns: [channel]}
facts:
  outcome: {table: appointments, known_at: starts, max_lag: 30d, reveals: [no_show]}
dimensions:
  who: {table: patients, key: patient, columns: [born, insured]}
  where: {table: clinics, key: clinic, columns: [rooms]}
measures:
  patient: {fact: outcome, key: patient, of: {no_show: [mean, count]}, windows: [60d]}
labels:
  no_show: {fact: outcome, column: no_show, kind: binary}
"""

MODEL = '''
from collections.abc import Sequence

from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from leverframe.case import Feature


def estimator(features: Sequence[Feature], *, trees: int) -> Pipeline:
    """Return boosted trees over one-hot words and bare numbers."""
    words = [feature.name for feature in features if feature.kind == "categorical"]
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words), remainder="passthrough"
    )
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=trees, early_stopping=False, random_state=0))
'''

PARAMS = """\
data: {case: clinic, period: none, first: "2024-01-01", last: "2024-05-04", timezone: Europe/Vienna}
features:
  engine: duckdb
  label: no_show
  select: ["*"]
  train: {first: "2024-01-01", last: "2024-03-25"}
  holdout: {first: "2024-03-26", last: "2024-05-04"}
train:
  estimator: clinic.model:estimator
  params: {trees: 3}
evaluate: {slices: [channel]}
bundle: {model: no-show}
"""

LEVERS = """\
gate:
  metrics:
    log_loss: {maximum_drop: 0.05}
deploy: {verify_seconds: 1}
serve: {port: 0, grpc_port: 0, metrics_port: 0}
"""

FILES = {
    "clinic/sources.py": SOURCES,
    "clinic/contracts.py": CONTRACTS,
    "clinic/star.yaml": STAR,
    "clinic/model.py": MODEL,
    "params.yaml": PARAMS,
    "leverframe.yaml": LEVERS,
}


def tables(folder: Path) -> None:
    """Write the three tables: who missed often misses again, and those who book on the web a little more."""
    draw = random.Random(7)  # noqa: S311 - data, not a secret
    patients = {f"{number:06d}": draw.random() ** 2 for number in range(240)}
    clinics = ("North", "Harbour", "St. Anne")
    begin, rows = datetime(2024, 1, 1, 8, tzinfo=UTC), ["appointment;patient;clinic;booked;starts;channel;no_show"]
    for number in range(2392):
        booked = begin + timedelta(minutes=75 * number)
        starts = booked + timedelta(days=draw.randint(1, 20))
        patient, channel = draw.choice(list(patients)), draw.choice(("phone", "web"))
        missed = draw.random() < 0.05 + 0.7 * patients[patient] + 0.1 * (channel == "web")
        times = f"{booked:%Y-%m-%d %H:%M};{starts:%Y-%m-%d %H:%M}"
        rows.append(f"A-{number:05d};{patient};{draw.choice(clinics)};{times};{channel};{'yes' if missed else 'no'}")
    people = [f"{patient};{draw.randint(1930, 2010)};{draw.choice(('public', 'private'))}" for patient in patients]
    places = [f"{clinic};{number + 4}" for number, clinic in enumerate(clinics)]
    raw = folder / "raw"
    raw.mkdir()
    for name, text in {"appointments": rows, "patients": ["patient;born;insured", *people],
                       "clinics": ["clinic;rooms", *places]}.items():  # fmt: skip
        (raw / f"{name}.csv").write_text("\n".join(text) + "\n", encoding="utf-8")
