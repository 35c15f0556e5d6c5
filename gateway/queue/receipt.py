"""
Receipt ids (D-16): ``01KAJX9M3V8Q2R5T7W1Y4Z-ris-valmont-9K2F7Q1X``.

Time (48 bits of milliseconds) and 60 random bits in Crockford's base32, the source, and a MAC over both: in order of time, fit
for a URL, and an id of ours is known for ours before the store has it.
"""

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.model.base import Model

#: Crockford's base32: in ASCII order, without I, L, O, U.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_DIGITS: Final = 10
_RANDOM_BITS: Final = 60
_RANDOM_DIGITS: Final = 12
_MAC_BYTES: Final = 5
_MAC_DIGITS: Final = 8
_SOURCE: Final = re.compile(r"[A-Za-z0-9._~-]{1,100}", re.ASCII)
_FORM: Final = re.compile(rf"([{_ALPHABET}]{{10}})[{_ALPHABET}]{{12}}-([A-Za-z0-9._~-]{{1,100}})-([{_ALPHABET}]{{8}})", re.ASCII)
#: What stands for an id that may not be told.
NO_RECEIPT: Final = "(no receipt)"
#: An id as far as a log line may show it, whoever wrote it.
_SHOWN: Final = re.compile(r"[A-Za-z0-9._~-]{1,160}", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class ReceiptParts(Model, frozen=True, kw_only=True):
    """What a receipt id of ours says."""

    #: To the millisecond, UTC.
    issued_at: datetime
    source: str


def shown(receipt: str) -> str:
    """Return a receipt id that came from outside as it may be told: one that has not the form of an id is not repeated."""
    return receipt if _SHOWN.fullmatch(receipt) else NO_RECEIPT


class MacReceipts:
    """Gives receipt ids and knows its own again: `gateway.model.ports.Receipts`."""

    def __init__(self, secret: bytes) -> None:
        """Take the MAC's secret (`Keys.receipts`), the same on every machine of an installation."""
        self._secret = secret

    def issue(self, source: str, at: datetime) -> str:
        """
        Return a new receipt id.

        Args:
            source: Id of the source: letters, digits, ``. _ ~ -``, at most 100.
            at: Aware; the instant of reception, from 1970 on.

        Raises:
            ValueError: the source's id does not fit into a URL, or the instant is before 1970.
        """
        if _SOURCE.fullmatch(source) is None:
            raise ValueError("a source's id in a receipt has letters, digits and . _ ~ - only, at most 100")
        milliseconds = (at - _EPOCH) // _MILLISECOND
        if milliseconds < 0:
            raise ValueError("before 1970")
        body = f"{_base32(milliseconds, _TIME_DIGITS)}{_base32(secrets.randbits(_RANDOM_BITS), _RANDOM_DIGITS)}-{source}"
        return f"{body}-{self._mac(body)}"

    def keyed(self, content: bytes) -> str:
        """
        Return a hash that only this installation can make: of few possible contents (an INS) a plain one is undone by trying.

        Args:
            content: Any bytes.

        Returns:
            64 hexadecimal digits.
        """
        return hmac.digest(self._secret, b"content\x1f" + content, hashlib.sha256).hex()

    def verify(self, receipt: str) -> ReceiptParts | None:
        """
        Return what a receipt id says if it is one of ours, else None.

        Args:
            receipt: Any text.
        """
        match = _FORM.fullmatch(receipt)
        if match is None or not hmac.compare_digest(match.group(3), self._mac(receipt[: match.end(2)])):
            return None
        return ReceiptParts(issued_at=_instant(match.group(1)), source=match.group(2))

    def _mac(self, body: str) -> str:
        digest = hmac.digest(self._secret, b"receipt\x1f" + body.encode(), hashlib.sha256)
        return _base32(int.from_bytes(digest[:_MAC_BYTES], "big"), _MAC_DIGITS)


def _base32(number: int, digits: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(digits - 1, -1, -1))


def _instant(digits: str) -> datetime:
    milliseconds = sum(_ALPHABET.index(digit) << 5 * place for place, digit in enumerate(reversed(digits)))
    return _EPOCH + milliseconds * _MILLISECOND


def issued_at(receipt: str) -> datetime | None:
    """Return when a receipt id says that it was issued, unverified, UTC; None if it has not that form."""
    match = _FORM.fullmatch(receipt)
    try:
        return _instant(match.group(1)) if match else None
    except OverflowError:
        return None


def source_of(receipt: str) -> str:
    """Return the source that a receipt id names, unverified, or an empty text if it has not that form."""
    match = _FORM.fullmatch(receipt)
    return match.group(2) if match else ""
