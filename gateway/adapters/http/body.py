"""
The one reader of bodies: capped while reading and while unpacking, on every route; nothing else reads one.

A web framework's own limit cuts a chunked body and goes on with half of it; its form parser writes files. Neither is used.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.adapters.http.call import MediaType, Refused
from gateway.model.problem import Problem

#: Where the server puts what is told how many bytes more are held of a request; it raises `Refused` where that is too much.
HOLD: Final = "gateway.hold"
#: What Content-Encoding may say beside nothing (RFC 9110 § 8.4).
_GZIP: Final = frozenset({"gzip", "x-gzip"})
#: RFC 7694: which codings are taken.
_TAKEN: Final = ("Accept-Encoding", "gzip")
_WBITS_GZIP: Final = 31
#: As many members a gzip body may have: tools that pack by blocks make one of 64 KiB.
MOST_MEMBERS: Final = 1024
#: Unpacked in steps, since what follows a member is copied, and so that what comes out is counted while it grows.
_STEP: Final = 64 * 1024
_STEP_OUT: Final = 1024 * 1024


def read(environ: Mapping[str, Any], limit: int) -> bytes:
    """
    Return the body of a request, unpacked.

    Args:
        environ: Of the request (WSGI); its input ends by itself where no length is known.
        limit: The longest, packed and unpacked.

    Raises:
        Refused: 413 if it is longer; 400 if it is shorter than it says, or packed wrongly; 415 if it is packed in another way;
            503 if all connections together would hold too much.
    """
    hold: Callable[[int], None] = environ.get(HOLD, _held)
    declared = _length(environ.get("CONTENT_LENGTH"))
    if declared is not None and declared > limit:
        raise _too_large(limit)
    terminated = bool(environ.get("wsgi.input_terminated")) or "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    if declared is None and not terminated:
        return b""
    data: bytes = environ["wsgi.input"].read(limit + 1 if declared is None else declared + 1)
    if len(data) > limit:
        raise _too_large(limit)
    if declared is not None and len(data) != declared:
        raise Refused(Problem(code="HTTP_BODY_INVALID", detail=f"Content-Length says {declared}, {len(data)} came"))
    return unpack(data, environ.get("HTTP_CONTENT_ENCODING", ""), limit, hold)


def _held(_size: int) -> None:
    """Count nothing."""


def unpack(data: bytes, coding: str, limit: int, hold: Callable[[int], None] = _held) -> bytes:
    """
    Undo a Content-Encoding.

    Args:
        data: The body as it came.
        coding: Content-Encoding: nothing, ``identity`` or ``gzip``.
        limit: The most that it may become.
        hold: Told of each piece how long it is; may refuse.

    Raises:
        Refused: 413, 400 or 415, as for `read`; what `hold` raises.
    """
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return data
    if name not in _GZIP:
        raise Refused(Problem(code="HTTP_TYPE_UNSUPPORTED", detail="Content-Encoding"), headers=(_TAKEN,))
    found, at, members = bytearray(), 0, 0
    while at < len(data):  # a gzip file may have several members (RFC 1952 § 2.2)
        members += 1
        if members > MOST_MEMBERS:
            raise _not_gzip(f"more than {MOST_MEMBERS} members")
        at = _member(data, at, found, limit, hold)
    return bytes(found)


def _member(data: bytes, at: int, found: bytearray, limit: int, hold: Callable[[int], None]) -> int:
    """Unpack the member that begins somewhere, behind what was found; return where it ends."""
    unpacking = zlib.decompressobj(_WBITS_GZIP)
    rest = b""
    while not unpacking.eof:
        if not rest:
            rest = data[at : at + _STEP]
            at += len(rest)
        more = bool(rest)
        try:
            piece = unpacking.decompress(rest, min(_STEP_OUT, limit + 1 - len(found)))
        except zlib.error:
            raise _not_gzip("not gzip") from None
        rest = unpacking.unconsumed_tail
        if piece:
            hold(len(piece))
            found += piece
        elif not more:
            raise _not_gzip("gzip broke off")
        if len(found) > limit:
            raise _too_large(limit)
    return at - len(unpacking.unused_data)


def _not_gzip(detail: str) -> Refused:
    return Refused(Problem(code="HTTP_BODY_INVALID", detail=detail))


def media_type(written: str | None) -> MediaType:
    """
    Read a Content-Type (RFC 9110 § 8.3.1).

    Args:
        written: As sent.

    Returns:
        Name and parameters in lower case but for the parameters' values; an empty name if there is none.
    """
    name, *rest = (written or "").split(";")
    parameters: dict[str, str] = {}
    for piece in rest:
        key, equals, value = piece.partition("=")
        if equals:
            parameters.setdefault(key.strip().lower(), value.strip().strip('"'))
    return MediaType(name=name.strip().lower(), parameters=parameters)


def _length(written: str | None) -> int | None:
    if written is None or not written.strip():
        return None
    if not written.isascii() or not written.isdigit() or len(written) > 18:
        raise Refused(Problem(code="HTTP_BODY_INVALID", detail="Content-Length"))
    return int(written)


def _too_large(limit: int) -> Refused:
    return Refused(Problem(code="TOO_LARGE", detail=f"more than {limit} bytes"))
