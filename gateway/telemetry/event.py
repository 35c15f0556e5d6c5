"""The base of every event, and what may be told of an exception."""

from typing import ClassVar

import msgspec

from gateway.telemetry import lines


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every event: its fields are those of its line."""

    name: ClassVar[str]
    level: ClassVar[str] = "info"

    def emit(self) -> None:
        """Move the counters, then write the line."""
        self.count_up()
        lines.write(self.level, self.name, msgspec.structs.asdict(self))

    def count_up(self) -> None:
        """Move the counters; nothing for an event that has none."""


def located(error: BaseException) -> tuple[str, str]:
    """
    Return the class of an error and where it happened.

    Args:
        error: Any exception.

    Returns:
        Its class with its module, and ``module:line`` of the innermost frame that is ours, else of the innermost one; ``""`` if
        it was never raised. Never its text.
    """
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    place, ours, trace = "", False, error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        mine = module.startswith("gateway.")
        if mine or not ours:
            place, ours = f"{module}:{trace.tb_lineno}", mine
        trace = trace.tb_next
    return name, place
