"""The versions of rows that were corrected, as frames: from when to when each is known, and where its event stands."""

from __future__ import annotations

from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name that every reader of Spark knows

from leverframe.adapters.spark.tables import ARRIVED, ROW, named, since
from leverframe.domain.data.times import EVENT_TIME
from leverframe.domain.features.plan import Corrected

KNOWN, UNTIL, PLACE, FIRST = "__known", "__until", "__place", "__first"  # microseconds; FIRST is a row
HAPPENED = "__happened"  # whether the version says that the event took place
RECORDED = "__recorded"  # microseconds at which the version was recorded, long ago for null
IN_ORDER = (KNOWN, RECORDED, ROW)  # of the versions of one event: what is known at once is in force as recorded
_EVER = -(2**62)


def versions(frame: DataFrame, corrected: Corrected | None, known_at: str) -> DataFrame:
    """Return the versions of every event, from the first that happened on; ``UNTIL`` of the newest is null.

    An event that is not ``corrected`` has one version.
    """
    if corrected is None:
        once = frame.withColumn(KNOWN, since(known_at)).where(F.col(KNOWN).isNotNull())
        last = F.lit(None).cast("bigint")
        return once.withColumns({PLACE: F.col(KNOWN), UNTIL: last, FIRST: F.col(ROW), HAPPENED: F.lit(True)})
    time, recorded = named(known_at), F.unix_micros(named(corrected.recorded_at))
    latest = F.greatest(F.col(ARRIVED), F.unix_micros(time), recorded)
    seen = {
        HAPPENED: time.isNotNull(),
        KNOWN: F.when(F.col(ARRIVED).isNotNull(), latest),
        RECORDED: F.coalesce(recorded, F.lit(_EVER)),
    }
    known = frame.withColumns(seen).where(F.col(KNOWN).isNotNull())
    of_one = Window.partitionBy(*_key(corrected))
    placed = known.withColumns(
        {
            PLACE: F.min(F.when(F.col(HAPPENED), F.col(KNOWN))).over(of_one),
            UNTIL: F.lead(KNOWN).over(of_one.orderBy(*IN_ORDER)),
            FIRST: F.first(ROW).over(of_one.orderBy(~F.col(HAPPENED), *IN_ORDER)),
            "__begun": F.bool_or(HAPPENED).over(of_one.orderBy(*IN_ORDER)),
        }
    )
    return placed.where("__begun")


def newest_in_time(frame: DataFrame, corrected: Corrected, lead_time: int) -> DataFrame:
    """Return one version a row of the spine: the newest known at its own timestamp, else the first.

    ``lead_time`` are the microseconds from that timestamp to the row's event_time.
    """
    recorded = F.unix_micros(named(corrected.recorded_at))
    in_time = F.coalesce(recorded < F.unix_micros(EVENT_TIME) - F.lit(lead_time), F.lit(True))
    order = [
        in_time.desc(),
        F.when(in_time, recorded).desc_nulls_last(),
        recorded.asc(),
        F.when(in_time, -F.col(ROW)).otherwise(F.col(ROW)),
    ]
    ranked = frame.withColumn("__rank", F.row_number().over(Window.partitionBy(*_key(corrected)).orderBy(*order)))
    return ranked.where(F.col("__rank") == 1).drop("__rank")


def _key(corrected: Corrected) -> list[Column]:
    """Return what rows that are versions of one share; a key with a null names no other row."""
    names = [named(name) for name in corrected.key]
    unknown = reduce(or_, [name.isNull() for name in names])
    return [*names, F.when(unknown, F.col(ROW))]
