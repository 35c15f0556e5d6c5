"""A point in time as it was written: precision and zone are kept, nothing is padded (D-21)."""

import enum
import functools
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Self
from zoneinfo import ZoneInfo

from gateway.model.base import Model

#: A time without a zone is a French one (ANS data types, TS; HL7 v2.5 chapter 2).
PARIS: Final = ZoneInfo("Europe/Paris")

_TS: Final = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?)?)?)?)?([+-]\d{4})?", re.ASCII)


class Precision(enum.StrEnum):
    """How much of a date was written."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    MINUTE = "minute"
    SECOND = "second"
    FRACTION = "fraction"


class Zone(enum.StrEnum):
    """Where the zone of a time came from."""

    #: The zone was written.
    WRITTEN = "written"
    #: A time of day without a zone: Europe/Paris was assumed.
    ASSUMED = "assumed"
    #: A date without a time of day has no zone.
    NONE = "none"


_ISO: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?([+-]\d\d:\d\d)?)?)?)?", re.ASCII
)

#: Year 0 is no year of any backend; dates before this one are errors of typing in a health record.
_FIRST_YEAR: Final = 1000

_ORDER: Final = tuple(Precision)

#: How many values are kept with the instants that they mean.
_KEPT: Final = 4096

#: Month, day, hour, minute and second of the first instant of a year.
_FIRST: Final = (1, 1, 0, 0, 0)


class When(Model, frozen=True, kw_only=True):
    """
    A date or time with the precision and zone it was written with.

    A time without a zone has none in `iso` either.
    """

    #: As the sender wrote it, odd forms included.
    written: str
    #: ISO 8601 cut at the precision: ``2026-03``, ``2026-03-10T11:20+01:00``.
    iso: str
    precision: Precision
    zone: Zone

    @classmethod
    def read(cls, text: str) -> Self:
        """
        Read an HL7 TS (v2 or v3): ``YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]``.

        Args:
            text: The value as written, at most 32 characters.

        Returns:
            The value with its precision and zone.

        Raises:
            ValueError: not that form, no such day or hour, year 0, or a zone beyond ±14:00; the text is not repeated.

        Source: HL7 v2.5 TS; CDA TS; D-21.
        """
        match = _TS.fullmatch(text)
        if match is None:
            message = "not a time stamp YYYY[MM[DD[HH[MM[SS[.S]]]]]][+/-ZZZZ]"
            raise ValueError(message)
        *parts, zone = match.groups()
        written = [part for part in parts if part is not None]
        precision = _ORDER[len(written) - 1]
        numbers = [int(part) for part in written[:6]]
        if numbers[0] < _FIRST_YEAR:
            message = "year out of range"
            raise ValueError(message)
        _naive(numbers)
        iso = "-".join(written[:3])
        has_time = len(written) > 3
        if has_time:
            iso += "T" + ":".join(written[3:6]) + ("." + written[6] if len(written) > 6 else "")
            if zone is not None:
                _hours_and_minutes(zone)
                iso += f"{zone[:3]}:{zone[3:]}"
        kind = Zone.NONE if not has_time else Zone.ASSUMED if zone is None else Zone.WRITTEN
        return cls(written=text, iso=iso, precision=precision, zone=kind)

    @classmethod
    def at(cls, instant: datetime) -> Self:
        """
        Return the value of an instant, to the microsecond, in UTC: what is stated first also is the earlier one.

        Args:
            instant: An aware datetime.
        """
        return cls.read(instant.astimezone(UTC).strftime("%Y%m%d%H%M%S.%f+0000"))

    @property
    def start(self) -> datetime:
        """The first instant that the written value can mean, aware, in UTC."""
        return _start(self.iso)

    @property
    def end(self) -> datetime:
        """
        The instant just past the last one that the written value can mean, aware, in UTC: a day ends at its 24:00.

        From the second on it is the instant itself.
        """
        return _end(self.iso, self.precision)

    @property
    def day(self) -> str | None:
        """The day as ``YYYY-MM-DD`` where at least a day was written."""
        return self.iso[:10] if len(self.iso) >= 10 else None


# A statement's date is compared with those of many others, again and again.


@functools.lru_cache(_KEPT)
def _start(iso: str) -> datetime:
    return _local(iso).astimezone(UTC)


@functools.lru_cache(_KEPT)
def _end(iso: str, precision: Precision) -> datetime:
    local = _local(iso)
    try:
        match precision:
            case Precision.YEAR:
                ended = local.replace(year=local.year + 1)
            case Precision.MONTH:
                ended = (local + timedelta(days=31)).replace(day=1)
            case Precision.DAY:
                ended = local + timedelta(days=1)
            case Precision.HOUR:
                ended = local.astimezone(UTC) + timedelta(hours=1)
            case Precision.MINUTE:
                ended = local.astimezone(UTC) + timedelta(minutes=1)
            case _:
                ended = local
        return ended.astimezone(UTC)
    except (OverflowError, ValueError):
        return datetime.max.replace(tzinfo=UTC)


def _local(iso: str) -> datetime:
    match = _ISO.fullmatch(iso)
    if match is None:  # a value built without `read`
        message = "not ISO 8601 cut at a precision"
        raise ValueError(message)
    parts = match.groups()
    numbers = [int(part) for part in parts[:6] if part is not None]
    micro = int(((parts[6] or "") + "000000")[:6])
    zone = PARIS if parts[7] is None else timezone(_offset(parts[7].replace(":", "")))
    return _naive(numbers).replace(microsecond=micro, tzinfo=zone)


def _naive(numbers: list[int]) -> datetime:
    year, month, day, hour, minute, second = (*numbers, *_FIRST[len(numbers) - 1 :])
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the caller gives the zone


def _hours_and_minutes(zone: str) -> tuple[int, int]:
    hours, minutes = int(zone[1:3]), int(zone[3:5])
    if hours > 14 or minutes > 59:
        message = "zone out of range"
        raise ValueError(message)
    return hours, minutes


def _offset(zone: str) -> timedelta:
    hours, minutes = _hours_and_minutes(zone)
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if zone[0] == "-" else offset
