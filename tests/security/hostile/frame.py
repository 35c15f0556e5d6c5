"""Bytes that are no frames, or frames that never end: the boundary is lost, and nothing more is read."""

from collections.abc import Iterator
from typing import Final

from tests.security.hostile.case import Case, case

LIMIT_BYTES: Final = 1024 * 1024
_ODD: Final = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    12,
    14,
    21,
    22,
    27,
    28,
    29,
    30,
    31,
    33,
    48,
    65,
    77,
    97,
    127,
    128,
    133,
    160,
    194,
    239,
    254,
    255,
)


def streams() -> Iterator[Case]:
    """Every hostile stream of the door `frame`."""
    for byte in _ODD:
        yield case(f"byte {byte:02X} before a frame", "frame", bytes((byte,)) + b"\x0bMSH|\x1c\r", "lost")
        if byte != 0x0D:
            yield case(f"byte {byte:02X} in the place of CR", "frame", b"\x0bMSH|\x1c" + bytes((byte,)), "lost")
    for name, data, fault in (
        ("a frame in a frame", b"\x0bMSH|\x0bMSH|\x1c\r", "truncated"),
        ("a start block in the middle of a name", b"\x0bMSH|^~\\&|A\x0bB|\x1c\r", "truncated"),
        ("an end block in the middle of a name", b"\x0bMSH|^~\\&|A\x1cB|\x1c\r", "lost"),
        ("starts only", b"\x0b" * 1000, "truncated"),
        ("ends only", b"\x1c\r" * 1000, "lost"),
        ("an end, then a start", b"\x1c\r\x0bMSH|\x1c\r", "lost"),
        ("two ends", b"\x0bMSH|\x1c\x1c\r", "lost"),
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "lost"),
        ("a TLS hello", bytes.fromhex("160301020001fc0303"), "lost"),
        ("a PROXY header", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\x0bMSH|\x1c\r", "lost"),
        ("blanks, then text", b"\r\n \t" * 1000 + b"x", "lost"),
        ("UTF-16", "\x0bMSH|\x1c\r".encode("utf-16-be"), "lost"),
        ("a byte-order mark before", b"\xef\xbb\xbf\x0bMSH|\x1c\r", "lost"),
    ):
        yield case(name, "frame", data, fault)
    for more in (1, 2, 1000, LIMIT_BYTES, 7 * LIMIT_BYTES):
        yield case(
            f"{more} bytes over the limit", "frame", lambda m=more: b"\x0b" + b"x" * (LIMIT_BYTES + m) + b"\x1c\r", "too_large"
        )
    yield case("over the limit and never ended", "frame", lambda: b"\x0b" + b"x" * (2 * LIMIT_BYTES), "too_large")
