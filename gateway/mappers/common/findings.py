"""The problems of one message, gathered while it is read."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.model.place import Place
from gateway.model.problem import Problem, Severity

#: As many problems of one message are kept; the last one says how many more there were.
MOST: Final = 100

#: A segment that is not there stands behind everything that is.
_NOWHERE = 1 << 62


class Findings:
    """Problems in the order in which they were found, at most `MOST`: the first error is the one that decides."""

    def __init__(self) -> None:
        self._errors: list[Problem] = []
        self._others: list[Problem] = []
        self._more = 0

    def add(
        self,
        code: str,
        place: Place | None,
        detail: str = "",
        *,
        severity: Severity = Severity.ERROR,
        document: int | None = None,
    ) -> None:
        """
        Note a problem.

        Args:
            code: A code of the table of problems.
            place: Where it stands.
            detail: What is particular to this case: names of fields and counts, never a value of the message.
            severity: Errors refuse the message, warnings and information do not.
            document: Index of the document it concerns, from 0.
        """
        self._keep(Problem(code=code, severity=severity, place=place, detail=detail, document=document))

    def warn(self, code: str, place: Place | None, detail: str = "", *, document: int | None = None) -> None:
        """Note a warning."""
        self.add(code, place, detail, severity=Severity.WARNING, document=document)

    def take(self, problems: Iterable[Problem], document: int | None = None) -> None:
        """Note problems that another reader found, as they are, for that document."""
        for problem in problems:
            self._keep(problem if document is None else msgspec.structs.replace(problem, document=document))

    def _keep(self, problem: Problem) -> None:
        kept = self._errors if problem.severity is Severity.ERROR else self._others
        if len(kept) < MOST:
            kept.append(problem)
        else:
            self._more += 1

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The errors, in the order of the checks: the first one decides."""
        return tuple(self._errors)

    @property
    def deciding(self) -> tuple[Problem, ...]:
        """What is kept, errors first, each in the order of the checks."""
        return self._said(self._kept)

    @property
    def in_message_order(self) -> tuple[Problem, ...]:
        """What is kept by its first byte in the message; at the same byte errors first; what has no place comes last."""
        return self._said(sorted(self._kept, key=_position))

    @property
    def _kept(self) -> list[Problem]:
        return [*self._errors, *self._others][:MOST]

    def _said(self, kept: Sequence[Problem]) -> tuple[Problem, ...]:
        """Return the problems, the last one with the number of those that are not kept."""
        more = self._more + len(self._errors) + len(self._others) - len(kept)
        if not more:
            return tuple(kept)
        detail = "; ".join(filter(None, (kept[-1].detail, f"and {more} more")))
        return (*kept[:-1], msgspec.structs.replace(kept[-1], detail=detail))


def _position(problem: Problem) -> int:
    start = problem.place.outermost.start if problem.place is not None else None
    return _NOWHERE if start is None else start
