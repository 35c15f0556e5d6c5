"""
The wire form of a deposit (D-11), version 1.

::

    byte 0      version
    bytes 1–4   length of the header, big-endian
    header      JSON: reception, submission, and for every part its size, its stored size, and whether it is a zstd frame
    parts       one after the other, as stored

It is input again for whoever reads it: closed types, every size bounded before anything of that size is made.
"""

import struct
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.model.problem import Problem, Unreadable
from gateway.model.submission import Deposit, Reception, Submission
from gateway.queue.errors import Damaged, NewerVersion

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VERSION: Final = 1

#: Bytes of all parts of a deposit together, unpacked.
UNPACKED_LIMIT_BYTES: Final = 64 * 1024 * 1024

#: Bytes of all parts that one batch holds unpacked, its last deposit apart: what packs a thousandfold is small on its way alone.
TOGETHER_LIMIT_BYTES: Final = 32 * 1024 * 1024

#: Below this a frame's own bytes eat what it saves.
_COMPRESS_FROM_BYTES: Final = 128
#: Of documents it makes as little as level 3 does, within a hundredth, in half the time.
_LEVEL: Final = 1
#: Packed only where that saves at least a sixteenth: what is compressed already travels raw.
_WORTH: Final = 16
#: log₂ of the largest window a frame may ask for: that of level 3, which earlier writers took, is 21.
_WINDOW_LOG_MAX: Final = 23

_PREFIX: Final = struct.Struct(">BI")

_Size = Annotated[int, Meta(ge=0, le=UNPACKED_LIMIT_BYTES)]


class PartHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part beside the header."""

    #: Bytes, unpacked.
    size: _Size
    #: Bytes as stored here.
    stored: _Size
    zstd: bool = False


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything but the bytes of the parts."""

    reception: Reception
    submission: Submission
    parts: tuple[PartHeader, ...]


_HEADER: Final = msgspec.json.Decoder(Header)


def encode(deposit: Deposit) -> bytes:
    """
    Return the wire form of a deposit.

    Raises:
        Unreadable: TOO_LARGE: its parts are over `UNPACKED_LIMIT_BYTES` together.
        ValueError: text that no backend can hold, or a document or carrier that names a part that is not there: a mapper's error.
    """
    if sum(map(len, deposit.parts)) > UNPACKED_LIMIT_BYTES:
        raise Unreadable(Problem(code="TOO_LARGE"))
    if not _parts_exist(deposit.submission, len(deposit.parts)):
        raise ValueError("a document or a carrier names a part that is not there")
    stored = [_pack(part) for part in deposit.parts]
    header = Header(
        reception=deposit.reception,
        submission=deposit.submission,
        parts=tuple(
            PartHeader(size=len(part), stored=len(packed), zstd=packed is not part)
            for part, packed in zip(deposit.parts, stored, strict=True)
        ),
    )
    try:
        written = msgspec.json.encode(header)
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate cannot be stored") from None
    return b"".join((_PREFIX.pack(VERSION, len(written)), written, *stored))


def decode(data: bytes) -> Deposit:
    """
    Read the wire form of a deposit.

    Args:
        data: What `encode` wrote, in this version or the one before.

    Returns:
        The deposit, equal to the one encoded.

    Raises:
        NewerVersion: a newer gateway wrote it.
        Damaged: anything else; the text names the first thing wrong, never a value.
    """
    if not data:
        raise Damaged("empty")
    version = data[0]
    if version > VERSION:
        raise NewerVersion(f"wire version {version}, this gateway reads up to {VERSION}")
    read = READERS.get(version)
    if read is None:
        raise Damaged(f"wire version {version}")
    return read(memoryview(data))


def _read_1(data: memoryview) -> Deposit:
    if len(data) < _PREFIX.size:
        raise Damaged("cut in the prefix")
    _, length = _PREFIX.unpack_from(data)
    start = _PREFIX.size + length
    if start > len(data):
        raise Damaged("cut in the header")
    try:
        header = _HEADER.decode(data[_PREFIX.size : start])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The decoder's text may repeat a value: it goes no further.
        raise Damaged("header") from None
    if sum(part.size for part in header.parts) > UNPACKED_LIMIT_BYTES:
        raise Damaged("parts over the limit")
    if start + sum(part.stored for part in header.parts) != len(data):
        raise Damaged("sizes of the parts")
    if not _parts_exist(header.submission, len(header.parts)):
        raise Damaged("a part is named that is not there")
    parts = []
    for part in header.parts:
        parts.append(_unpack(part, data[start : start + part.stored]))
        start += part.stored
    return Deposit(reception=header.reception, submission=header.submission, parts=tuple(parts))


#: Readers of this version and the one before, by version byte.
READERS: Final[Mapping[int, Callable[[memoryview], Deposit]]] = {1: _read_1}


def _parts_exist(submission: Submission, count: int) -> bool:
    named = [document.part for document in submission.documents] + [carrier.part for carrier in submission.carriers]
    return all(0 <= number < count for number in named)


def _pack(part: bytes) -> bytes:
    """Return the zstd frame of a part, or the part itself (the same object) where a frame saves too little."""
    if len(part) < _COMPRESS_FROM_BYTES:
        return part
    packed = zstd.compress(part, _LEVEL)
    return packed if len(packed) < len(part) - len(part) // _WORTH else part


def _unpack(part: PartHeader, stored: memoryview) -> bytes:
    if not part.zstd:
        if part.size != part.stored:
            raise Damaged("size of a part")
        return bytes(stored)
    unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX})
    try:
        # One byte more than declared: a frame that holds more is found out without unpacking the rest.
        data = unpacker.decompress(stored, max_length=part.size + 1)
    except zstd.ZstdError:
        raise Damaged("frame of a part") from None
    if len(data) != part.size or not unpacker.eof or unpacker.unused_data:
        raise Damaged("size of a part")
    return data
