"""The constraints on the tables of the flights case: values by pandera, the rest by monitors beside them.

A check with ``raise_warning=True`` is shown when it breaks and stops nothing; every other one
fails the stage. The tables hold New York's departures of one month, so bounds are those of
domestic flights and of the weather that an airport can report.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from leverframe.case import Contract, ForeignKey, Freshness, NullRate, SchemaDiff, UniqueKey, Volume

Timestamp = Annotated[pl.Datetime, "us", "UTC"]
ORIGINS = ("EWR", "JFK", "LGA")
CARRIER = r"^[A-Z0-9]{2}$"
AIRPORT = r"^[A-Z0-9]{3}$"
TAIL = r"^N?[A-Z0-9]{1,6}$"


def tolerated(holds: pl.Expr, share: float) -> pl.Expr:
    """Return whether a row holds, or no more than ``share`` (0 to 1) of the rows do not."""
    return holds | ((~holds).mean() <= share)


class Flights(pa.DataFrameModel):
    """One row a scheduled flight; outcomes are null until they are known, or for good if cancelled."""

    carrier: str = pa.Field(str_matches=CARRIER)
    flight: int = pa.Field(in_range=(1, 9999))
    tailnum: str = pa.Field(nullable=True, str_matches=TAIL)
    origin: str = pa.Field(isin=ORIGINS)
    dest: str = pa.Field(str_matches=AIRPORT)
    distance: int = pa.Field(in_range=(15, 6000))  # miles
    sched_dep_at: Timestamp
    sched_arr_at: Timestamp
    sched_elapsed: int = pa.Field(in_range=(15, 900))  # minutes
    departed_at: Timestamp = pa.Field(nullable=True)
    arrived_at: Timestamp = pa.Field(nullable=True)
    dep_delay: int = pa.Field(nullable=True, in_range=(-120, 2880))  # minutes
    arr_delay: int = pa.Field(nullable=True, in_range=(-180, 2880))  # minutes
    air_time: int = pa.Field(nullable=True, in_range=(10, 900))  # minutes
    event_time: Timestamp
    known_at: Timestamp

    @pa.dataframe_check(name="known_after_event", description="no row is known before it happens")
    @classmethod
    def known_after_event(cls, data: PolarsData) -> pl.LazyFrame:
        """Hold when a row is known at or after its event time."""
        return data.lazyframe.select(pl.col("known_at") >= pl.col("event_time"))

    @pa.dataframe_check(name="lands_after_departure", description="a flight arrives after it departed")
    @classmethod
    def lands_after_departure(cls, data: PolarsData) -> pl.LazyFrame:
        """Hold when the arrival is later than the departure."""
        return data.lazyframe.select(pl.col("arrived_at") > pl.col("departed_at"))

    @pa.dataframe_check(name="arrival_needs_departure", description="a flight that arrived also departed")
    @classmethod
    def arrival_needs_departure(cls, data: PolarsData) -> pl.LazyFrame:
        """Hold when no arrival lacks a departure."""
        return data.lazyframe.select(pl.col("arrived_at").is_null() | pl.col("departed_at").is_not_null())

    @pa.dataframe_check(
        name="plausible_speed", description="miles per hour in the air are 60 to 800", raise_warning=True
    )
    @classmethod
    def plausible_speed(cls, data: PolarsData) -> pl.LazyFrame:
        """Hold when distance over air time is a speed of an airliner."""
        return data.lazyframe.select((pl.col("distance") / pl.col("air_time") * 60).is_between(60, 800))


class Weather(pa.DataFrameModel):
    """One row an airport and hour, in the units of American weather reports."""

    origin: str = pa.Field(isin=ORIGINS)
    temp: float = pa.Field(nullable=True, in_range=(-30, 120))  # degrees Fahrenheit
    dewp: float = pa.Field(nullable=True, in_range=(-60, 90))  # degrees Fahrenheit
    humid: float = pa.Field(nullable=True, in_range=(0, 100))  # percent
    wind_dir: int = pa.Field(nullable=True, in_range=(0, 360))  # degrees
    wind_speed: float = pa.Field(nullable=True, ge=0)  # miles per hour
    wind_gust: float = pa.Field(nullable=True, ge=0)  # miles per hour
    precip: float = pa.Field(nullable=True, in_range=(0, 10))  # inches
    pressure: float = pa.Field(nullable=True, in_range=(850, 1100))  # millibars
    visib: float = pa.Field(nullable=True, in_range=(0, 100))  # miles
    event_time: Timestamp
    known_at: Timestamp

    @pa.check(
        "wind_speed", "wind_gust", name="usual_wind", description="at most 200 miles per hour", raise_warning=True
    )
    @classmethod
    def usual_wind(cls, data: PolarsData) -> pl.LazyFrame:
        """Hold up to 200 miles per hour; 2013 has one wind of 1048, a typing error that nobody mended."""
        return data.lazyframe.select(pl.col(data.key) <= 200)

    @pa.dataframe_check(
        name="fahrenheit",
        description="temp and dewp in °F give the relative humidity in humid, within 2 points for 80% of the rows",
    )
    @classmethod
    def fahrenheit(cls, data: PolarsData) -> pl.LazyFrame:
        """Hold when temperature, dew point and humidity agree.

        A range does not see degrees Celsius, which look like a cold month in Fahrenheit. Physics
        does: relative humidity is the ratio of the vapour pressures at dew point and at
        temperature. In the twelve months of 2013 at most 5 % of the rows are off by more than 2
        points, in Celsius at least 90 %.
        """
        humid = 100 * vapour_pressure(pl.col("dewp")) / vapour_pressure(pl.col("temp"))
        return data.lazyframe.select(tolerated((humid - pl.col("humid")).abs() <= 2, share=0.2))


def vapour_pressure(fahrenheit: pl.Expr) -> pl.Expr:
    """Return the saturation vapour pressure over water in hectopascals at a temperature in °F.

    The Magnus formula with the coefficients of Alduchov and Eskridge, Improved Magnus form
    approximation of saturation vapor pressure, Journal of Applied Meteorology 35 (1996).
    """
    celsius = (fahrenheit - 32) / 1.8
    return 6.1094 * (17.625 * celsius / (243.04 + celsius)).exp()


class Airlines(pa.DataFrameModel):
    """One row a carrier."""

    carrier: str = pa.Field(str_matches=CARRIER)
    name: str = pa.Field(str_length=(1, 100))


class Airports(pa.DataFrameModel):
    """One row an airport of the United States."""

    faa: str = pa.Field(str_matches=AIRPORT)
    name: str
    lat: float = pa.Field(in_range=(-90, 90))
    lon: float = pa.Field(in_range=(-180, 180))
    alt: int = pa.Field(in_range=(-1500, 15000))  # feet
    tz: int = pa.Field(in_range=(-12, 14))  # hours from UTC in winter
    dst: str = pa.Field(isin=("A", "N", "U"))
    tzone: str = pa.Field(nullable=True)


class Planes(pa.DataFrameModel):
    """One row an aircraft, by tail number."""

    tailnum: str = pa.Field(str_matches=TAIL)
    year: int = pa.Field(nullable=True, in_range=(1930, 2100))
    type: str
    manufacturer: str
    model: str
    engines: int = pa.Field(in_range=(1, 8))
    seats: int = pa.Field(in_range=(1, 900))
    speed: int = pa.Field(nullable=True, in_range=(30, 1000))  # miles per hour
    engine: str


CONTRACTS = {
    "flights": Contract(
        Flights,
        monitors=(
            Freshness(within=timedelta(hours=24)),
            Volume(),
            SchemaDiff(),
            UniqueKey(("carrier", "flight", "origin", "event_time")),
            ForeignKey(("tailnum",), "planes", warn=0.16, error=0.20),
            ForeignKey(("dest",), "airports", references=("faa",), warn=0.03, error=0.10),
            ForeignKey(("carrier",), "airlines"),
            NullRate(tolerance=0.05),
        ),
    ),
    "weather": Contract(
        Weather,
        monitors=(
            Freshness(within=timedelta(hours=48)),
            Volume(),
            SchemaDiff(nullable=None),
            UniqueKey(("origin", "event_time")),
            NullRate(tolerance=0.05, except_columns=("wind_gust", "pressure")),
            NullRate(tolerance=0.30, columns=("wind_gust",)),  # gusts are reported when there are any
            NullRate(tolerance=0.15, columns=("pressure",)),
        ),
    ),
    "airlines": Contract(Airlines, monitors=(UniqueKey(("carrier",)), NullRate())),
    "airports": Contract(Airports, monitors=(UniqueKey(("faa",)), NullRate())),
    "planes": Contract(Planes, monitors=(UniqueKey(("tailnum",)), NullRate())),
}
