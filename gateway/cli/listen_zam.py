"""The business acknowledgment (ZAM^Z01, Z02, Z03) read and said in words: which message it answers, yes or no, why."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.cli.printable import printable
from gateway.mappers.hl7v2.ack import APPLICATION_ERRORS
from gateway.mappers.hl7v2.tokens import Message, Segment
from gateway.model.problem import ERR3_TEXT, Unreadable
from gateway.model.problems import CODES

#: MSH-9.2 → what the acknowledgment is about. Source: ANS Trans. CDA en HL7v2 2.1, ack-metier-zam.
ABOUT: Final[Mapping[str, str]] = MappingProxyType(
    {"Z01": "reception by the DMP", "Z02": "reception by the MSSanté mailbox", "Z03": "reading in the MSSanté mailbox"}
)

#: OBX-3.1 of the OBX that answers; the third is written in both ways. Source: as above.
_ANSWERS: Final = frozenset({"ACK_RECEPTION_DMP", "ACK_RECEPTION_MSS", "ACK_LECTURE_MSS", "ACK_LECTURE"})

_VERDICTS: Final = MappingProxyType({"Y": "yes", "N": "no"})
_STYLES: Final = MappingProxyType({"Y": "green", "N": "red"})
_SEVERITIES: Final = MappingProxyType({"E": "error", "F": "fatal error", "W": "warning", "I": "information"})

#: DMP error codes that are public. Source: ANS example files; GIE SESAM-Vitale sample code.
_DMP: Final = MappingProxyType(
    {
        "DMPClosed": "the patient's record is closed",
        "DMPFound": "the record exists already",
        "DMPOK": "done without error",
    }
)

#: SMTPERRORCODE. Source: ANS Trans. CDA en HL7v2 2.1, error-codes; the words by RFC 5321 § 4.2 where it has the code.
_SMTP: Final = MappingProxyType(
    {
        "101": "the mail server cannot be reached",
        "111": "the mail server refuses the connection",
        "251": "not a local mailbox, the message is forwarded",
        "252": "the mailbox cannot be verified, delivery is tried",
        "420": "the connection to the mail server timed out",
        "421": "the mail service is not available",
        "422": "the mailbox is full",
        "431": "the recipient's server is out of memory or disk",
        "432": "the recipient's server has stopped taking mail",
        "441": "the recipient's server does not answer",
        "442": "the connection was lost during the transmission",
        "450": "the mailbox is not available for the moment",
        "451": "stopped by an error of the server",
        "452": "the server has no room for the message",
        "500": "the server does not know the command",
        "501": "the server does not take the parameters",
        "502": "the server does not have the command",
        "503": "the commands came in the wrong order",
        "504": "the server does not have the parameter",
        "510": "the address is wrong",
        "512": "the domain of the address cannot be found",
        "513": "the address is not of a kind that the server takes",
        "523": "the message is larger than the recipient may receive",
        "530": "the server asks for authentication",
        "541": "the recipient's server refused the message",
        "550": "there is no such mailbox",
        "551": "not a local mailbox: another address is to be tried",
        "552": "the mailbox has no room left",
        "553": "the name of the mailbox is not allowed",
        "554": "the delivery failed",
    }
)


class BusinessError(msgspec.Struct, frozen=True, kw_only=True):
    """The ERR of a business acknowledgment."""

    #: ERR-3.1, HL7 table 0357, and what the table calls it; of another code, what the sender calls it.
    condition: str
    condition_text: str
    #: ERR-4.
    severity: str
    #: ERR-5.1, .2 and .3.
    code: str
    text: str
    system: str
    #: ERR-5.1 in words; empty: it is not known here.
    meaning: str


class BusinessAck(msgspec.Struct, frozen=True, kw_only=True):
    """What a ZAM says."""

    #: `Z01` reception by the DMP, `Z02` by the mailbox, `Z03` reading there.
    event: str
    #: OBX-4: MSH-10 of the message that it answers.
    message_id: str
    #: OBX-5.1, `Y` or `N`.
    verdict: str
    errors: tuple[BusinessError, ...] = ()


def business_ack(event: str, message: Message) -> BusinessAck | None:
    """
    Read a ZAM.

    Args:
        event: MSH-9.2.
        message: The message.

    Returns:
        What it says; None for an event that is none of `ABOUT`. What it lacks, or what cannot be decoded, is empty.
    """
    if event not in ABOUT:
        return None
    answers = [obx for obx in message.all("OBX") if _value(obx, 3).upper() in _ANSWERS]
    obx = answers[0] if answers else None
    return BusinessAck(
        event=event,
        message_id=_value(obx, 4) if obx else "",
        verdict=_value(obx, 5).upper() if obx else "",
        errors=tuple(map(_error, message.all("ERR"))),
    )


def words(ack: BusinessAck) -> Iterator[tuple[str, str]]:
    """Yield what it says in lines for people, each with its style."""
    verdict = _VERDICTS.get(ack.verdict, "neither Y nor N in OBX-5")
    of = f"message {printable(ack.message_id)}" if ack.message_id else "a message that OBX-4 does not name"
    yield f"   business acknowledgment of {of}: {ABOUT[ack.event]}, {verdict}", _STYLES.get(ack.verdict, "yellow")
    for error in ack.errors:
        severity = _SEVERITIES.get(error.severity, "error")
        parts = [f"{printable(error.condition)} {printable(error.condition_text)}".strip()]
        if error.code or error.text:
            system = f" ({printable(error.system)})" if error.system else ""
            parts.append(f"{printable(error.code)} {printable(error.text)}".strip() + system)
        yield f"   {severity} {', '.join(filter(None, parts)) or 'without a code'}", "bold"
        if error.meaning:
            yield f"   {error.meaning}", ""
    if ack.verdict == "N" and not ack.errors:
        yield "   no ERR says why, and a negative one must have it", "yellow"


def _error(err: Segment) -> BusinessError:
    condition, code, system = _value(err, 3), _value(err, 5), _value(err, 5, 3)
    return BusinessError(
        condition=condition,
        condition_text=ERR3_TEXT.get(condition) or _value(err, 3, 2),
        severity=_value(err, 4).upper(),
        code=code,
        text=_value(err, 5, 2),
        system=system,
        meaning=meaning(code, system),
    )


def meaning(code: str, system: str) -> str:
    """
    Return what a code of ERR-5 means.

    Args:
        code: ERR-5.1.
        system: ERR-5.3; the DMP's is written with and without `_`.

    Returns:
        Words; empty where the code is not public, or of a system that is not known.
    """
    named = system.replace("_", "").upper()
    if "SMTP" in named:
        return _SMTP.get(code, "")
    if "DMP" in named:
        return next((text for known, text in _DMP.items() if known.casefold() == code.casefold()), "")
    if code in CODES:
        return CODES[code].text
    return APPLICATION_ERRORS.get(code, "")


def _value(segment: Segment, field: int, component: int = 1) -> str:
    try:
        return segment.value(field, component).strip()
    except Unreadable:
        return ""
