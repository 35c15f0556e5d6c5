"""How long something has waited, in words."""

from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


def instant(text: str) -> datetime:
    """Return an instant of the store or the queue, ISO 8601; without a zone it is UTC."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def seconds_since(text: str, now: datetime) -> float:
    """Return how many seconds ago an instant was, to the millisecond; 0 where a clock was set back."""
    return round(max((now - instant(text)).total_seconds(), 0.0), 3)


def age(seconds: float) -> str:
    """Return a span in the largest unit of which there are two."""
    for unit, name in _UNITS:
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} s"
