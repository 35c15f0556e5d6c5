"""What an answer to a message says, in words and as one line of JSON, and what many answers say together."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.cli.mllp_client import Reply, Silence
from gateway.cli.outgoing import Outgoing
from gateway.cli.printable import printable
from gateway.cli.underline import WIDEST, path, underline
from gateway.mappers.hl7v2.ack import Answered, AnsweredError, read_ack
from gateway.model.problem import Unreadable
from gateway.model.problems import CODES

#: MSA-1 → what it is called, what it means for the sender. Source: HL7 table 0008; ANS Trans. CDA en HL7v2 2.1, profils-messages.
MEANINGS: Final = {
    "AA": ("accepted", "responsibility taken: the gateway will not lose it, there is no need to send it again"),
    "AE": ("refused", "the content is wrong: sending it again as it is will not help"),
    "AR": ("not taken", "a circumstance, not the content: send it again later"),
    "CA": ("accepted", "taken over by the receiver; what becomes of it was not asked for (MSH-16)"),
    "CE": ("refused", "the content is wrong: sending it again as it is will not help"),
    "CR": ("not taken", "a circumstance, not the content: send it again later"),
}

_AGAIN: Final = "it may have been taken or not; send it again, the gateway keeps it once"

SILENCES: Final = {
    Silence.NOT_CONNECTED: "no connection",
    Silence.NOT_TRUSTED: "TLS failed",
    Silence.TIMEOUT: f"no answer in time: {_AGAIN}",
    Silence.CUT: f"the connection was closed before the answer: {_AGAIN}",
    Silence.UNREADABLE: "what came back is no acknowledgment",
}

#: Before the lines of the message itself.
_INDENT: Final = "      "

_ACCEPTED: Final = frozenset({"AA", "CA"})
_SEVERITIES: Final = {"E": "error", "W": "warning", "I": "information", "F": "fatal error"}
_STYLES: Final = {"AA": "green", "CA": "green", "AE": "red", "CE": "red", "AR": "yellow", "CR": "yellow"}


class SentError(msgspec.Struct, frozen=True, kw_only=True):
    """One ERR of an answer."""

    #: ERR-2, its components joined by ``^``.
    place: str
    #: ERR-5.1, or ERR-3.1 (HL7 table 0357) from a receiver without codes of its own.
    code: str
    #: ERR-5.4.
    application_code: str
    #: ERR-4.
    severity: str
    text: str


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One message that was sent: a line of ``send --json``."""

    file: str
    #: Among the messages of the file, from 1.
    index: int
    #: With ``--repeat``: which time, from 1.
    repetition: int
    #: MSH-10.
    control_id: str
    #: MSA-1; null if there was no answer.
    answer: str | None
    #: Why there was none: `not_connected`, `timeout`, `cut`, `unreadable`.
    silence: str | None
    #: MSA-3: what the receiver calls the message.
    reference: str
    errors: tuple[SentError, ...]
    duration_ms: float

    @property
    def is_accepted(self) -> bool:
        """Whether the receiver took responsibility."""
        return self.answer in _ACCEPTED


def sent(message: Outgoing, repetition: int, reply: Reply) -> tuple[Sent, Answered | None]:
    """
    Read the reply to a message.

    Args:
        message: As it was sent.
        repetition: Which time it was sent, from 1.
        reply: What came back.

    Returns:
        The line of JSON, and the acknowledgment if there was one that can be read.
    """
    answered, silence = None, reply.silence
    if reply.answer is not None:
        try:
            answered = read_ack(reply.answer)
        except Unreadable:
            silence = Silence.UNREADABLE
    line = Sent(
        file=message.file,
        index=message.index,
        repetition=repetition,
        control_id=message.control_id,
        answer=answered.code if answered else None,
        silence=None if silence is None else silence.value,
        reference=answered.reference if answered else "",
        errors=tuple(map(_error, answered.errors)) if answered else (),
        duration_ms=round(reply.seconds * 1000, 3),
    )
    return line, answered


def words(message: Outgoing, line: Sent, answered: Answered | None, width: int = WIDEST) -> Iterator[tuple[str, str]]:
    """
    Say the reply to a message.

    Args:
        message: As it was sent: the places of errors are underlined in it.
        line: What `sent` made of the reply.
        answered: The acknowledgment, if there was one.
        width: Characters of a line of the terminal.

    Yields:
        Lines, each with its style (empty: none).
    """
    name = f"message {printable(line.control_id) or 'without MSH-10'} ({printable(line.file)}"
    name += f", number {line.index})" if line.index > 1 else ")"
    if answered is None:
        yield f"no answer  {name}", "bold red"
        yield f"   {SILENCES[Silence(line.silence or Silence.UNREADABLE)]}", ""
        return
    code = printable(answered.code)
    called, meaning = MEANINGS.get(answered.code, ("unknown answer", "this is no code of HL7 table 0008"))
    receipt = f" → {printable(line.reference)}" if line.reference else ""
    yield f"{code} {called}  {name}{receipt} in {line.duration_ms:.0f} ms", f"bold {_STYLES.get(answered.code, 'red')}"
    yield f"   {meaning}", ""
    for error in answered.errors:
        yield from _said(message, error, width)


def _said(message: Outgoing, error: AnsweredError, width: int) -> Iterator[tuple[str, str]]:
    row = CODES.get(error.code)
    where = path(error.erl)
    severity = _SEVERITIES.get(error.severity, "error")
    code = printable(error.code or error.condition)
    application = f" ({printable(error.application_error)})" if error.application_error else ""
    yield "", ""
    yield f"   {severity} {code}{application}{f' at {where}' if where else ''}", "bold"
    yield f"   {row.text if row else printable(_text(error))}", ""
    if error.diagnostic:
        yield f"   {printable(error.diagnostic)}", ""
    if row:
        yield f"   what to do: {row.advice}", ""
    lines = underline(message.payload, error.erl, width - len(_INDENT))
    if lines:
        yield "", ""
        yield _INDENT + lines[0], ""
        yield _INDENT + lines[1], "red"


def _error(error: AnsweredError) -> SentError:
    return SentError(
        place="^".join(error.erl),
        code=error.code or error.condition,
        application_code=error.application_error,
        severity=error.severity,
        text=_text(error),
    )


def _text(error: AnsweredError) -> str:
    return error.message or error.diagnostic or error.condition_text


class Tally:
    """How many answers of each kind, and how long they took."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.silent: Counter[str] = Counter()
        self._durations: list[float] = []

    def add(self, line: Sent) -> None:
        """Count one message."""
        if line.answer is None:
            self.silent[line.silence or ""] += 1
        else:
            self.answers[line.answer] += 1
            self._durations.append(line.duration_ms)

    @property
    def sent(self) -> int:
        """How many messages were counted."""
        return self.answers.total() + self.silent.total()

    @property
    def all_accepted(self) -> bool:
        """Whether every message was, and there was one."""
        return self.sent > 0 and sum(self.answers[code] for code in _ACCEPTED) == self.sent

    def summary(self, wanted: int, seconds: float) -> str:
        """
        Say it in one line.

        Args:
            wanted: How many messages there were to be sent.
            seconds: How long it took in all.

        Returns:
            ``sent 100: AA 98, AE 1, AR 0, no answer 1; 49.8 per second; answered in 12 ms (p50), 40 ms (p99)``.
        """
        codes = ["AA", "AE", "AR", *sorted(self.answers.keys() - {"AA", "AE", "AR"})]
        counts = ", ".join(f"{printable(code)} {self.answers[code]}" for code in codes)
        of = f" of {wanted}" if wanted != self.sent else ""
        line = f"sent {self.sent}{of}: {counts}, no answer {self.silent.total()}"
        if seconds > 0 and self.sent:
            line += f"; {self.sent / seconds:.1f} per second"
        if self._durations:
            line += (
                f"; answered in {percentile(self._durations, 50):.0f} ms (p50), {percentile(self._durations, 99):.0f} ms (p99)"
            )
        return line


def percentile(values: list[float], percent: int) -> float:
    """Return the smallest of the values that `percent` of them do not exceed (nearest rank)."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]
