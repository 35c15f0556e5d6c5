"""The few facts of a certificate or revocation list that an operator must know: until when it is good, and who made it."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from gateway.model.base import Model

_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18


#: Stands in the subject of authorities that `dmp-gateway test-authority` makes, whose keys anybody may have.
TEST_AUTHORITY: Final = "dmp-gateway TEST AUTHORITY"

_PEM: Final = re.compile(rb"-----BEGIN (CERTIFICATE|X509 CRL)-----([A-Za-z0-9+/=\s]+)-----END \1-----")


class Validity(Model, frozen=True, kw_only=True):
    """What a certificate or a revocation list (DER) says of itself."""

    #: The name of whoever signed it, DER.
    issuer: bytes
    #: The name of whom it is for, DER; of a revocation list: empty.
    subject: bytes = b""
    begins: datetime
    #: None: a revocation list that names no end.
    ends: datetime | None

    @property
    def is_of_tests(self) -> bool:
        """Whether a test authority made it, or it is one."""
        return TEST_AUTHORITY.encode() in self.issuer + self.subject


def read_all(text: bytes) -> Iterator[tuple[bool, Validity]]:
    """
    Read every certificate and revocation list of a PEM file.

    Args:
        text: The file; what stands between the blocks is left out, as OpenSSL does.

    Yields:
        Whether it is a certificate, and what it says of itself.

    Raises:
        ValueError: a block is neither.
    """
    for kind, body in _PEM.findall(text):
        der = base64.b64decode(b"".join(body.split()), validate=True)
        is_certificate = kind == b"CERTIFICATE"
        yield is_certificate, certificate(der) if is_certificate else revocations(der)


def certificate(der: bytes) -> Validity:
    """
    Read a certificate that a library has taken already.

    Raises:
        ValueError: it is none.

    Source: RFC 5280 § 4.1.
    """
    fields = list(_items(_first(_first(der))))
    if fields and fields[0][0] == _VERSION:
        fields = fields[1:]
    if [tag for tag, _ in fields[:5]] != [_INTEGER, _SEQUENCE, _SEQUENCE, _SEQUENCE, _SEQUENCE]:
        raise ValueError("not a certificate")
    times = list(_items(fields[3][1]))
    if len(times) != 2:
        raise ValueError("not a certificate")
    return Validity(issuer=fields[2][1], subject=fields[4][1], begins=_time(*times[0]), ends=_time(*times[1]))


def revocations(der: bytes) -> Validity:
    """
    Read a revocation list that a library has taken already.

    Raises:
        ValueError: it is none.

    Source: RFC 5280 § 5.1.
    """
    fields = list(_items(_first(_first(der))))
    if fields and fields[0][0] == _INTEGER:
        fields = fields[1:]
    if [tag for tag, _ in fields[:2]] != [_SEQUENCE, _SEQUENCE] or len(fields) < 3:
        raise ValueError("not a revocation list")
    has_end = len(fields) > 3 and fields[3][0] in {_UTC_TIME, _GENERALIZED_TIME}
    return Validity(issuer=fields[1][1], begins=_time(*fields[2]), ends=_time(*fields[3]) if has_end else None)


def _first(der: bytes) -> bytes:
    """Return what the first element holds, which is a sequence."""
    tag, content = next(_items(der), (0, b""))
    if tag != _SEQUENCE:
        raise ValueError("not a sequence")
    return content


def _items(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element; lengths are definite and tags of one byte in what is read here."""
    place = 0
    while place < len(der):
        tag, length = der[place], der[place + 1] if place + 1 < len(der) else 0x80
        place += 2
        if length >= 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise ValueError("not DER")
            length = int.from_bytes(der[place : place + size])
            place += size
        if place + length > len(der):
            raise ValueError("cut off")
        yield tag, der[place : place + length]
        place += length


def _time(tag: int, content: bytes) -> datetime:
    """Read a time in the only form that certificates have: seconds, `Z` (RFC 5280 § 4.1.2.5)."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 and later are of the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
