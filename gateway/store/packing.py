"""Bytes at rest: compressed where that saves space (D-11)."""

import sys
import threading
from typing import Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: A document is never larger than what a door takes; a stored one that claims more is damaged.
_LIMIT_BYTES: Final = 256 * 1024 * 1024

#: Of documents it makes as little as level 3 does, within a hundredth, in half the time.
_LEVEL: Final = 1

_LOCAL: Final = threading.local()


def pack(content: bytes) -> tuple[str, bytes]:
    """Return (encoding, bytes): `zstd` where it is smaller by a tenth at least, else `raw`."""
    packed = _packer().compress(content, zstd.ZstdCompressor.FLUSH_FRAME)
    return ("zstd", packed) if len(packed) * 10 < len(content) * 9 else ("raw", content)


def _packer() -> zstd.ZstdCompressor:
    """Return this thread's compressor: making one costs as much as a small document."""
    packer: zstd.ZstdCompressor | None = getattr(_LOCAL, "packer", None)
    if packer is None:
        packer = _LOCAL.packer = zstd.ZstdCompressor(level=_LEVEL)
    return packer


def unpack(encoding: str, stored: bytes) -> bytes:
    """
    Return the content.

    Raises:
        ValueError: not one of our encodings, or larger than anything that was ever stored.
    """
    if encoding == "raw":
        return stored
    if encoding != "zstd":
        message = f"unknown encoding {encoding}"
        raise ValueError(message)
    reader = zstd.ZstdDecompressor()
    content = reader.decompress(stored, max_length=_LIMIT_BYTES)
    if not reader.eof:
        message = "the stored bytes are cut, or larger than the limit"
        raise ValueError(message)
    return content
