"""Where a value stands in what was received."""

import re
from typing import Final

from gateway.model.base import Model

#: ``PID[1]-3[2].4.1``: segment, its occurrence, field, repetition, component, sub-component (all from 1).
_ER7: Final = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+)(?:\[(\d+)\])?(?:\.(\d+)(?:\.(\d+))?)?)?", re.ASCII)


class Place(Model, frozen=True, kw_only=True):
    """A place in the source: a path in the format's own notation, and the byte span where it is known."""

    #: HL7v2: ``PID[1]-3[2].4``; CDA: ``/ClinicalDocument/recordTarget[1]/patientRole[1]/id[1]/@extension``.
    path: str
    #: First byte of the value in the payload (without MLLP framing), or in the enclosing value's decoded bytes.
    start: int | None = None
    #: One past its last byte.
    end: int | None = None
    #: Line in an XML document, from 1.
    line: int | None = None
    #: The place of the value that carries this document (``OBX[1]-5[1].5`` for a CDA in a message).
    within: "Place | None" = None

    @property
    def outermost(self) -> "Place":
        """The place in the message itself: this one, or the one that carries it."""
        return self if self.within is None else self.within.outermost

    @property
    def erl(self) -> tuple[str, ...]:
        """
        The components of ERR-2 (ERL): segment, sequence, field, repetition, component, sub-component.

        Empty if the place is not one of an ER7 message. Source: HL7 v2.5, ERR-2.
        """
        match = _ER7.fullmatch(self.outermost.path)
        if match is None:
            return ()
        segment, occurrence, *rest = match.groups()
        parts = [segment, occurrence or "1"]
        for part in rest:
            if part is None:
                break
            parts.append(part)
        return tuple(parts)

    def __str__(self) -> str:
        """Return the path, behind the carrier's path if there is one."""
        return self.path if self.within is None else f"{self.within} → {self.path}"


def er7_path(  # noqa: PLR0917 - the positions of ERR-2, in its order
    segment: str,
    occurrence: int,
    field: int | None = None,
    repetition: int | None = None,
    component: int | None = None,
    subcomponent: int | None = None,
) -> str:
    """
    Return the path of a place in an ER7 message, all counts from 1; ``None`` ends it.

    Returns:
        ``OBX[3]-5[1].5`` and the like, which `Place.erl` reads back.
    """
    path = f"{segment}[{occurrence}]"
    if field is None:
        return path
    path += f"-{field}"
    if repetition is None:
        return path
    path += f"[{repetition}]"
    if component is None:
        return path
    path += f".{component}"
    return path if subcomponent is None else f"{path}.{subcomponent}"
