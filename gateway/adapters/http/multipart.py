"""
multipart/form-data, read in memory from a body that is already capped: nothing is spooled to a file (D-7).

Source: RFC 7578; RFC 2046 § 5.1.1.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.adapters.http.body import media_type
from gateway.adapters.http.call import MediaType, Refused
from gateway.model.problem import Problem

#: As many parts are looked at.
MOST_PARTS: Final = 16
#: Bytes of the headers of one part.
LONGEST_HEAD: Final = 8192
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
_NAME: Final = re.compile(r';\s*name="?([A-Za-z0-9._-]{1,64})"?\s*(?:;|$)', re.ASCII | re.IGNORECASE)
_HEADER: Final = re.compile(r"([A-Za-z0-9-]{1,64}):[ \t]*([^\r\n]*)", re.ASCII)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part."""

    name: str
    #: By lower-case name.
    headers: Mapping[str, str]
    content: bytes

    @property
    def media_type(self) -> MediaType:
        """Its Content-Type, read; an empty name if there is none."""
        return media_type(self.headers.get("content-type"))


def parts(body: bytes, kind: MediaType) -> dict[str, Part]:
    """
    Return the parts of a body by their names.

    Args:
        body: Whole.
        kind: Its media type, with the boundary.

    Raises:
        Refused: HTTP_BODY_INVALID: no boundary, a part without a name or of a name that stands twice, too many parts, a body that
            breaks off or goes on behind its end. The texts repeat nothing of the body.
    """
    boundary = kind.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise _wrong("no boundary")
    mark = b"\r\n--" + boundary.encode("ascii")
    # The first one may stand at the very beginning, without the line end before it.
    at = _next(b"\r\n" + body, mark, 0)
    data = b"\r\n" + body
    found: dict[str, Part] = {}
    while not data.startswith(b"--", at):
        if len(found) == MOST_PARTS:
            raise _wrong(f"more than {MOST_PARTS} parts")
        begin = _line_end(data, at)
        end = data.find(mark, begin - 2)
        if end < 0:
            raise _wrong("it breaks off")
        part = _part(data, begin, end)
        if part.name in found:
            raise _wrong("two parts of one name")
        found[part.name] = part
        at = end + len(mark)
    if data[at + 2 :].strip(b" \t\r\n"):
        raise _wrong("it goes on behind its end")
    return found


def _next(data: bytes, mark: bytes, start: int) -> int:
    at = data.find(mark, start)
    if at < 0:
        raise _wrong("the boundary is not in the body")
    return at + len(mark)


def _line_end(data: bytes, at: int) -> int:
    """Return where the line of a boundary ends: blanks may stand behind it (RFC 2046), nothing else."""
    end = data.find(b"\r\n", at)
    if end < 0 or data[at:end].strip(b" \t"):
        raise _wrong("a line that only begins like the boundary")
    return end + 2


def _part(data: bytes, begin: int, end: int) -> Part:
    if data.startswith(b"\r\n", begin):  # no header at all
        raise _wrong("a part without a name")
    split = data.find(b"\r\n\r\n", begin, min(end, begin + LONGEST_HEAD))
    if split < 0:
        raise _wrong("a part without a blank line behind its headers")
    headers: dict[str, str] = {}
    for line in data[begin:split].decode("latin-1").split("\r\n"):
        header = _HEADER.fullmatch(line)
        if header is None or header.group(1).lower() in headers:
            raise _wrong("a header of a part")
        headers[header.group(1).lower()] = header.group(2).strip()
    disposition = headers.get("content-disposition", "")
    name = _NAME.search(disposition)
    if name is None or not disposition.lower().startswith("form-data"):
        raise _wrong("a part without a name")
    return Part(name=name.group(1), headers=headers, content=data[split + 4 : end])


def _wrong(detail: str) -> Refused:
    return Refused(Problem(code="HTTP_BODY_INVALID", detail=f"multipart: {detail}"))
