"""What `listen` answers: the acknowledgments of one message, true ones or those that were asked for."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from gateway.adapters.hl7v2.modes import Enhanced, enhanced
from gateway.cli.listen_manner import Act, Decision, Manner
from gateway.mappers.hl7v2.ack import ACCEPT, Accept, render
from gateway.mappers.hl7v2.charset import CHARSETS
from gateway.mappers.hl7v2.dialect import escaped
from gateway.mappers.hl7v2.header import Header, read_header, salvage
from gateway.mappers.hl7v2.tokens import Message
from gateway.model.problem import ERR3_TEXT, Answer, Problem, Unreadable
from gateway.model.problems import CODES

#: Application error: what an AE or AR says that was asked for without a code.
USUAL_CODE: Final = "207"

#: Put before MSH-10, it names a message that nobody sent.
WRONG: Final = "WRONG-"

_BEFORE_ERR3: Final = frozenset({"2.3", "2.3.1", "2.4"})


class Read(msgspec.Struct, frozen=True):
    """One message, as far as it can be read."""

    header: Header | None
    #: None: it cannot be read.
    message: Message | None
    problems: tuple[Problem, ...]


class Acks(msgspec.Struct, frozen=True):
    """What is answered to one message."""

    #: MSA-1 of the last one; None: there is none.
    code: str | None
    #: Without framing, in order.
    payloads: tuple[bytes, ...] = ()


def read(payload: bytes) -> Read:
    """Read one message; whatever it is, nothing is raised."""
    try:
        header, message = read_header(payload)
    except Unreadable as unreadable:
        return Read(salvage(payload), None, unreadable.problems)
    return Read(header, message, header.problems)


def acknowledgments(found: Read, decision: Decision, manner: Manner, *, control_id: str, at: datetime) -> Acks:
    """
    Write what is answered to a message.

    Args:
        found: The message.
        decision: What is to be done about it; a message that cannot be read is never answered AA.
        manner: Code, text and character set of an answer that was asked for.
        control_id: MSH-10 of the first acknowledgment.
        at: The time now.

    Returns:
        One acknowledgment in original mode; in enhanced mode those that MSH-15 and MSH-16 ask for, the accept acknowledgment
        first: it is a true one where the application's follows, which then says what was asked for.
    """
    if decision.act in {Act.NEVER, Act.DROP}:
        return Acks(None)
    answer = Answer(decision.act.value)
    problems, asked = found.problems, decision.chosen and decision.act is not Act.AA
    if found.message is None and answer is Answer.AA:
        answer = CODES[problems[0].code].answer
    header = found.header
    if header is not None:
        name = WRONG + header.control_id if decision.wrong_id else header.control_id
        header = msgspec.structs.replace(header, control_id=name, charset=manner.charset or header.charset)
    mode = enhanced(header)
    text = manner.text if decision.chosen else ""
    written = []
    for number, code in enumerate(_codes(mode, answer)):
        final = code in {answer, ACCEPT[answer]}
        told = problems if final else ()
        code_of_ours = asked and final and manner.code in CODES
        if code_of_ours:
            told = (*told, Problem(code=manner.code, detail=text))
        ack = render(
            header,
            code,
            told,
            control_id=control_id + "A" * number,
            at=at,
            reference=text if answer is Answer.AA else None,
            enhanced=mode is not None,
        )
        if asked and final and not code_of_ours:
            ack += _error(header or Header(), manner.code or USUAL_CODE, text)
        written.append((code.value, ack))
    return Acks(written[-1][0] if written else None, tuple(ack for _, ack in written))


def refusal(head: bytes, code: str, *, control_id: str, at: datetime) -> bytes:
    """Write the answer to a frame that could not be received whole."""
    return render(salvage(head), CODES[code].answer, (Problem(code=code),), control_id=control_id, at=at)


def _codes(mode: Enhanced | None, answer: Answer) -> Iterable[Answer | Accept]:
    """Yield the codes of the acknowledgments that are wanted."""
    if mode is None:
        yield answer
        return
    success = answer is Answer.AA
    follows = mode.application.wants(success=success)
    accepted = success or follows
    if mode.accept.wants(success=accepted):
        yield Accept.CA if accepted else ACCEPT[answer]
    if follows:
        yield answer


def _error(to: Header, code: str, text: str) -> bytes:
    """Return an ERR with a code of HL7 table 0357 (HL7 v2.5, ERR-3; before that ERR-1.4)."""
    old = f"^^^{code}&{escaped(ERR3_TEXT[code])}" if to.version in _BEFORE_ERR3 else ""
    condition = f"{code}^{escaped(ERR3_TEXT[code])}^messageErrorCondition"
    segment = "|".join(["ERR", old, "", condition, "E", "", "", "", escaped(text or "As the receiver was asked to answer")])
    return f"{segment}\r".encode(CHARSETS[to.charset], "replace")
