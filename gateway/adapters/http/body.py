"""
The one reader of bodies: capped while reading and while unpacking, on every route; nothing else reads one.

A web framework's own limit cuts a chunked body and goes on with half of it; its form parser writes files. Neither is used.
"""

import zlib
from collections.abc import Mapping
from typing import Any, Final

from gateway.adapters.http.call import MediaType, Refused
from gateway.model.problem import Problem

#: What Content-Encoding may say beside nothing (RFC 9110 § 8.4).
_GZIP: Final = frozenset({"gzip", "x-gzip"})
#: RFC 7694: which codings are taken.
_TAKEN: Final = ("Accept-Encoding", "gzip")
_WBITS_GZIP: Final = 31


def read(environ: Mapping[str, Any], limit: int) -> bytes:
    """
    Return the body of a request, unpacked.

    Args:
        environ: Of the request (WSGI); its input ends by itself where no length is known.
        limit: The longest, packed and unpacked.

    Raises:
        Refused: 413 if it is longer; 400 if it is shorter than it says, or packed wrongly; 415 if it is packed in another way.
    """
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
    return unpack(data, environ.get("HTTP_CONTENT_ENCODING", ""), limit)


def unpack(data: bytes, coding: str, limit: int) -> bytes:
    """
    Undo a Content-Encoding.

    Args:
        data: The body as it came.
        coding: Content-Encoding: nothing, ``identity`` or ``gzip``.
        limit: The most that it may become.

    Raises:
        Refused: 413, 400 or 415, as for `read`.
    """
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return data
    if name not in _GZIP:
        raise Refused(Problem(code="HTTP_TYPE_UNSUPPORTED", detail="Content-Encoding"), headers=(_TAKEN,))
    found, rest = bytearray(), data
    while rest:  # a gzip file may have several members (RFC 1952 § 2.2)
        unpacking = zlib.decompressobj(_WBITS_GZIP)
        try:
            found += unpacking.decompress(rest, limit + 1 - len(found))
        except zlib.error:
            raise Refused(Problem(code="HTTP_BODY_INVALID", detail="not gzip")) from None
        if len(found) > limit:
            raise _too_large(limit)
        if not unpacking.eof:
            raise Refused(Problem(code="HTTP_BODY_INVALID", detail="gzip broke off"))
        rest = unpacking.unused_data
    return bytes(found)


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
