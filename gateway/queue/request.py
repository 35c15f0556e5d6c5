"""
The wire form of requests, replies and reports, version 1: events on their way to the store, outcomes on their way back (D-2).

::

    byte 0      version
    the rest    JSON

It is input again for whoever reads it: closed types, and sealed by a door or a worker of ours.
"""

from datetime import datetime
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.submission import Reception
from gateway.queue.errors import Damaged, NewerVersion

VERSION: Final = 1


class Erasable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last days whose keys may go, in days since 1970-01-01, UTC; None: none yet."""

    flow: int | None = None
    parking: int | None = None


class EventRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event, and until when it may be begun."""

    reception: Reception
    event: RecordEvent
    deadline: Annotated[datetime, Meta(tz=True)]


class ErasableRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="ask", tag="erasable"):
    """Which keys may go? Asked by a machine that has keys and no store (D-7)."""


class EventReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a request or a deposit: its outcome, or the code of the circumstance that kept it from being begun."""

    outcome: Outcome | None = None
    unavailable: str | None = None
    #: To a `ErasableRequest`.
    erasable: Erasable | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message that a door refused or ignored: ids, codes, times, hashes (D-7)."""

    reception: Reception
    rejection: Rejection


_REQUEST: Final = msgspec.json.Decoder(EventRequest)
_REPLY: Final = msgspec.json.Decoder(EventReply)
_REPORT: Final = msgspec.json.Decoder(Report)


def encode(made: EventRequest | ErasableRequest | EventReply | Report) -> bytes:
    """Return the wire form."""
    return bytes((VERSION,)) + msgspec.json.encode(made)


def decode_request(wire: bytes) -> EventRequest | ErasableRequest:
    """
    Read a request.

    Raises:
        Damaged, NewerVersion: not written by a gateway of this version or an older one.
    """
    return ErasableRequest() if wire == ASK_ERASABLE else _decoded(_REQUEST, wire)


def decode_reply(wire: bytes) -> EventReply:
    """Read a reply; raises as `decode_request`."""
    return _decoded(_REPLY, wire)


def decode_report(wire: bytes) -> Report:
    """Read a report; raises as `decode_request`."""
    return _decoded(_REPORT, wire)


#: The question of a door, as it travels.
ASK_ERASABLE: Final = encode(ErasableRequest())

_T = TypeVar("_T")


def _decoded(decoder: "msgspec.json.Decoder[_T]", wire: bytes) -> _T:
    if wire and wire[0] > VERSION:
        raise NewerVersion(f"request version {wire[0]}, this gateway reads up to {VERSION}")
    try:
        return decoder.decode(memoryview(wire)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Damaged("request") from None
