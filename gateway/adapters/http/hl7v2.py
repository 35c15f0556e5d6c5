"""
`POST /hl7v2`: HL7v2 over HTTP, by the engine of the MLLP door.

The acknowledgment is the body of the answer. Its status follows MSA-1, so that a client that reads statuses alone does the right
thing: 200 for AA and CA, 422 for AE and CE (the content is wrong: sending it again will not help), 503 with Retry-After for AR
and CR (a circumstance: send it again), 403 where AR says that the source is not admitted. The draft "HL7 over HTTP" (§ 2.6) wants
200 for all of them; HAPI, which comes with it, sends 400 for AR and 500 for AE. By the first a client that reads no body takes a
refusal for a success; by the second it gives up what is to be sent again and repeats what is not. Ours follow D-2, and a client
of either kind finds the acknowledgment in the body. Several messages in one body are answered by the worst.
"""

import codecs
from typing import Final

from gateway.adapters.http.call import Call, Refused, Reply
from gateway.adapters.http.engine import Engine
from gateway.adapters.http.exchange import RETRY_SECONDS
from gateway.adapters.http.registry import Access, Answered, Route
from gateway.mappers.hl7v2.charset import CHARSETS
from gateway.mappers.hl7v2.header import salvage
from gateway.model.ports import Unavailable
from gateway.model.problem import Problem

#: The media types of the draft, and plain text.
TYPES: Final = ("application/hl7-v2", "application/hl7-v2+er7", "x-application/hl7-v2+er7", "text/plain")
_ANSWER_TYPE: Final = "application/hl7-v2"
#: Before MSA-1 of each acknowledgment of an answer.
_MSA: Final = b"\rMSA|"
#: ERR-5 of whoever is not admitted.
_SOURCE_UNKNOWN: Final = b"|SOURCE_UNKNOWN^"
_RETRY: Final = ("Retry-After", str(RETRY_SECONDS))


class Hl7v2Routes:
    """The route of `/hl7v2`."""

    def __init__(self, engine: Engine) -> None:
        """Keep what messages go through."""
        self._engine = engine

    def routes(self) -> tuple[Route, ...]:
        """Return the table's rows."""
        acknowledgment = (_ANSWER_TYPE,)
        return (
            Route(
                method="POST",
                path="/hl7v2",
                name="hl7v2.message",
                summary="Send an HL7v2 message, ER7; the answer's body is its acknowledgment.",
                access=Access.CONNECTION,
                handler=self.take,
                consumes=TYPES,
                body_schema={"type": "string", "format": "binary", "description": "A message, its segments ended by CR."},
                answers=(
                    Answered(status=200, text="AA or CA.", types=acknowledgment),
                    Answered(status=403, text="AR: the connection does not admit MSH-3 and MSH-4.", types=acknowledgment),
                    Answered(status=422, text="AE or CE: what is wrong, in ERR.", types=acknowledgment),
                    Answered(
                        status=503,
                        text="AR or CR: a circumstance, send it again.",
                        types=acknowledgment,
                        headers={"Retry-After": "Seconds after which to send it again."},
                    ),
                ),
            ),
        )

    def take(self, call: Call) -> Reply:
        """
        Answer a message.

        Raises:
            Refused: 400, the body is empty; 415, charset and MSH-18 contradict each other; 503, not answered in time.
        """
        if not call.body:
            raise Refused(Problem(code="HTTP_BODY_INVALID", detail="empty"))
        _check_charset(call)
        try:
            answer = self._engine.answer(call.caller.admitted, call.body)
        except Unavailable as unavailable:
            raise Refused(Problem(code=unavailable.code), headers=(_RETRY,)) from None
        status = _status(answer)
        return Reply(status=status, body=answer, content_type=_ANSWER_TYPE, headers=(_RETRY,) if status == 503 else ())


def _status(answer: bytes) -> int:
    given = answer.split(_MSA)[1:]
    codes = {each[:2] for each in given}
    put_off = [each for each in given if each[:2] in {b"AR", b"CR"}]
    if put_off:  # one circumstance among strangers is enough: that message is to be sent again
        return 403 if all(_SOURCE_UNKNOWN in each for each in put_off) else 503
    return 422 if codes & {b"AE", b"CE"} else 200


def _check_charset(call: Call) -> None:
    """Refuse a body that is not in the charset that its message says: whoever turned it into another left MSH-18 as it was."""
    said = call.media_type.parameters.get("charset")
    header = salvage(call.body)
    if said is None or header is None or call.body.isascii():
        return
    source = call.caller.admitted.source(header.application, header.facility)
    written = source.charset if source is not None and source.charset_forced else header.charset
    codec = CHARSETS.get(written or "", "ascii")
    if codec != "ascii" and _codec(said) != _codec(codec):
        raise Refused(Problem(code="HTTP_TYPE_UNSUPPORTED", detail="charset and MSH-18 differ"))


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return name
