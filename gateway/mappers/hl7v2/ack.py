"""The technical acknowledgment: written for senders, read for those who send."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from gateway.mappers.hl7v2 import charset
from gateway.mappers.hl7v2.dialect import escaped
from gateway.mappers.hl7v2.header import Header, read_head
from gateway.mappers.hl7v2.tokens import Segment
from gateway.model.base import Model
from gateway.model.place import Place, er7_path
from gateway.model.problem import ERR3_TEXT, Answer, Problem, Severity, Unreadable
from gateway.model.problems import CODES
from gateway.model.when import PARIS

#: As many ERR segments at most.
MOST_ERRORS: Final = 20

#: As much of a value is repeated, and as many components: no field that an answer repeats is longer (HL7 v2.7, MSH-10).
_ECHOED: Final = 199
_ECHOED_COMPONENTS: Final = 20

#: Name of our table of problem codes in ERR-5.3.
CODE_SYSTEM: Final = "GATEWAY_ERROR_CODE"

#: Source: ANS Trans. CDA en HL7v2 2.1, error-codes (applicationErrorCondition), translated.
APPLICATION_ERRORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "900": "Not the latest version of the document",
        "901": "Author not allowed",
        "902": "Patient unknown",
        "903": "INS absent in the CDA",
        "904": "INS or traits differ",
        "905": "INS incomplete",
        "906": "Other error",
    }
)

#: Versions whose ERR has one field only; the later ones are sent beside it.
_BEFORE_ERL: Final = frozenset({"2.3", "2.3.1", "2.4"})

_FIRST: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFORMATION: 2}


class Accept(enum.StrEnum):
    """MSA-1 of an accept acknowledgment (HL7 table 0008, enhanced mode)."""

    CA = "CA"
    CE = "CE"
    CR = "CR"


#: What is said at acceptance where original mode says AA, AE or AR (D-2).
ACCEPT: Final[Mapping[Answer, Accept]] = MappingProxyType(
    {Answer.AA: Accept.CA, Answer.AE: Accept.CE, Answer.AR: Accept.CR},
)


class AnsweredError(Model, frozen=True, kw_only=True):
    """One ERR segment of an answer."""

    #: ERR-2 (before version 2.5 ERR-1): segment, sequence, field, repetition, component, sub-component, as far as given.
    erl: tuple[str, ...] = ()
    #: ERR-3.1, HL7 table 0357.
    condition: str = ""
    condition_text: str = ""
    #: ERR-4 (``E``, ``W``, ``I``).
    severity: str = ""
    #: ERR-5.1: the receiver's own code.
    code: str = ""
    #: ERR-5.4: applicationErrorCondition, if there is one.
    application_error: str = ""
    #: ERR-7.
    diagnostic: str = ""
    #: ERR-8.
    message: str = ""


class Answered(Model, frozen=True, kw_only=True):
    """What an acknowledgment says."""

    #: MSA-1: ``AA``, ``AE``, ``AR`` (``CA``, ``CE``, ``CR`` from receivers in enhanced mode).
    code: str
    #: MSA-2: MSH-10 of the message that is answered.
    control_id: str
    #: MSA-3: the gateway's receipt.
    reference: str = ""
    errors: tuple[AnsweredError, ...] = ()


def render(
    header: Header | None,
    answer: Answer | Accept,
    problems: Sequence[Problem],
    *,
    control_id: str,
    at: datetime,
    reference: str | None = None,
    enhanced: bool = False,
) -> bytes:
    """
    Write the acknowledgment of a message.

    Args:
        header: What could be read of the message; None if nothing could.
        answer: MSA-1.
        problems: Each becomes an ERR, errors first, at most `MOST_ERRORS`.
        control_id: MSH-10 of the acknowledgment.
        at: The time now, aware; written in French time with its zone.
        reference: Receipt of the deposit, MSA-3.
        enhanced: Whether the sender asked for enhanced mode: then MSH-15 and MSH-16 say that nobody answers this.

    Returns:
        The message in the character set of the one it answers, without MLLP framing, segments ended by CR. What that character
        set lacks is written ``?``; of a repeated value the first 199 characters are written.

    Source: ANS Trans. CDA en HL7v2 2.1, profils-messages and interactions-acteurs; HL7 v2.5 MSA, ERR.
    """
    to = header or Header()
    trigger = escaped(to.trigger[:_ECHOED])
    version = _echo(to, 12) or "2.5"
    msh = [
        "MSH",
        "^~\\&",
        _echo(to, 5),
        _echo(to, 6),
        _echo(to, 3),
        _echo(to, 4),
        at.astimezone(PARIS).strftime("%Y%m%d%H%M%S%z"),
        "",
        f"ACK^{trigger}^ACK" if trigger else "ACK",
        escaped(control_id),
        _echo(to, 11) or "P",
        version,
        *("", "", *(("NE", "NE") if enhanced else ("", ""))),
        "FRA",
        to.charset,
    ]
    msa = ["MSA", answer.value, escaped(to.control_id[:_ECHOED])]
    if reference:
        msa.append(escaped(reference))
    shown = sorted(problems, key=lambda problem: _FIRST[problem.severity])[:MOST_ERRORS]
    old = to.version in _BEFORE_ERL
    segments = [msh, msa, *(_err(problem, old=old) for problem in shown)]
    if len(shown) < len(problems):
        segments[-1][7] = "; ".join(filter(None, (segments[-1][7], f"{len(problems) - len(shown)} more not shown")))
    text = "".join("|".join(segment) + "\r" for segment in segments)
    return _encoded(text, charset.CHARSETS[to.charset])


def said(problem: Problem) -> str:
    """Return the sentence for the user, ERR-8: what happened, where, what to do."""
    row = CODES[problem.code]
    where = f" ({problem.place.outermost.path})" if problem.place else ""
    return f"{row.text.rstrip('.')}{where} - {row.advice}"


def _err(problem: Problem, *, old: bool) -> list[str]:
    row = CODES[problem.code]
    place = problem.place
    application = row.application_error
    code = [row.code, row.text, CODE_SYSTEM]
    if application:
        code += [application, APPLICATION_ERRORS[application], "applicationErrorCondition"]
    return [
        "ERR",
        _eld(problem) if old else "",
        _joined(place.erl) if place else "",
        _joined((row.err3, ERR3_TEXT[row.err3], "messageErrorCondition")),
        problem.severity.err4,
        _joined(code),
        "",
        escaped("; ".join(_diagnostic(problem, place))),
        escaped(said(problem)),
    ]


def _eld(problem: Problem) -> str:
    """Return ERR-1, all there was of ERR before version 2.5: segment, sequence, field, then the code as sub-components."""
    row = CODES[problem.code]
    erl = problem.place.erl if problem.place else ()
    code = "&".join(map(escaped, (row.code, row.text, CODE_SYSTEM)))
    return "^".join((*map(escaped, (*erl, "", "", "")[:3]), code))


def _diagnostic(problem: Problem, place: Place | None) -> Iterable[str]:
    if problem.detail:
        yield problem.detail
    if place is None:
        return
    if place.within is not None or not place.erl:
        yield place.path
    if place.line is not None:
        yield f"line {place.line}"


def _echo(header: Header, number: int) -> str:
    written = header.components.get(number, ())[:_ECHOED_COMPONENTS]
    return _joined(component[:_ECHOED] for component in written).rstrip("^")


def _joined(components: Iterable[str]) -> str:
    return "^".join(escaped(component) for component in components)


def _encoded(text: str, codec: str) -> bytes:
    """Encode; C1 controls count as lacking: under ISO 8859 they would be refused when read back."""
    return "".join("?" if "\x80" <= character <= "\x9f" else character for character in text).encode(codec, "replace")


def read_ack(payload: bytes) -> Answered:
    """
    Read an acknowledgment, ours or another receiver's.

    Args:
        payload: The message without MLLP framing.

    Returns:
        MSA and every ERR.

    Raises:
        Unreadable: not an HL7v2 message, or one without MSA (SEGMENT_MISSING).
    """
    _, message = read_head(payload)
    msa = message.first("MSA")
    if msa is None:
        raise Unreadable(Problem(code="SEGMENT_MISSING", place=Place(path=er7_path("MSA", 1)), detail="MSA"))
    return Answered(
        code=msa.value(1).strip(),
        control_id=msa.value(2),
        reference=msa.value(3),
        errors=tuple(_error(err) for err in message.all("ERR")),
    )


def _error(err: Segment) -> AnsweredError:
    place = err.field(2)
    erl = [part.text.strip() for part in (err.field(1) if place.is_empty else place).repetition(1).components]
    if place.is_empty:
        erl = erl[:3]
    while erl and not erl[-1]:
        erl.pop()
    return AnsweredError(
        erl=tuple(erl),
        condition=err.value(3).strip(),
        condition_text=err.value(3, 2).strip(),
        severity=err.value(4).strip(),
        code=err.value(5) or err.value(1, 4),
        application_error=err.value(5, 4),
        diagnostic=err.value(7),
        message=err.value(8),
    )
