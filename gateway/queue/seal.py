"""
The sealed form of a payload (D-7): AES-256-GCM under the key of a ring and a day.

::

    byte 0       version
    byte 1       ring
    bytes 2–5    day: days since 1970-01-01 UTC, big-endian
    byte 6       length of the lane's name, then the name
    byte         length of the receipt id, then the id
    12 bytes     nonce, random
    the rest     ciphertext and tag

Everything before the nonce is in clear and authenticated: a sealed deposit opens in its own lane, under its own receipt, only.
"""

import secrets
import struct
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag

from gateway.model.problem import Problem, Unreadable
from gateway.queue.errors import Damaged, NewerVersion
from gateway.queue.keys import Keys, Ring

VERSION: Final = 1

#: RabbitMQ 4 closes the channel on a message over 16 MiB (D-11).
SEALED_LIMIT_BYTES: Final = 15 * 1024 * 1024

_PREFIX: Final = struct.Struct(">BBI")
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What a sealed payload says in clear."""

    ring: Ring
    #: Days since 1970-01-01, UTC.
    day: int
    lane: str
    receipt: str


def seal(payload: bytes, *, keys: Keys, lane: str, receipt: str, ring: Ring = Ring.FLOW, limit: int | None = None) -> bytes:
    """
    Seal a payload under today's key.

    Args:
        payload: The wire form.
        keys: The keys of this machine.
        lane: Where it will travel; ASCII, at most 255 characters.
        receipt: Its receipt id; ASCII, at most 255 characters.
        ring: `FLOW` for what travels, `PARKING` for what is parked.
        limit: Bytes that the sealed form may have; None: any number (what is parked travels no more).

    Returns:
        The sealed form.

    Raises:
        Unreadable: TOO_LARGE: it would be over `limit`.
        KeysUnusable: today's key cannot be had.
        ValueError: lane or receipt cannot be written.
    """
    size = _PREFIX.size + 2 + len(lane) + len(receipt) + _NONCE_BYTES + len(payload) + _TAG_BYTES
    if limit is not None and size > limit:
        raise Unreadable(Problem(code="TOO_LARGE"))
    key = keys.sealing(keys.sealing_day(ring), ring)
    clear = _PREFIX.pack(VERSION, ring, key.day) + _short(lane) + _short(receipt)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return b"".join((clear, nonce, key.cipher.encrypt(nonce, payload, clear)))


def label(sealed: bytes) -> Label:
    """
    Read what a sealed payload says in clear: not to be believed before `open_sealed` agrees.

    Raises:
        Damaged, NewerVersion: as `open_sealed`.
    """
    return _label(sealed)[0]


def open_sealed(sealed: bytes, *, keys: Keys, lane: str, receipt: str, ring: Ring = Ring.FLOW) -> bytes:
    """
    Open a sealed payload that was found in a lane under a receipt.

    Args:
        sealed: What `seal` returned.
        keys: The keys of this machine.
        lane: The lane it was found in.
        receipt: The receipt it was filed under.
        ring: The ring it must have been sealed for.

    Returns:
        The payload.

    Raises:
        Damaged: changed on its way, made by somebody else, or sealed for another ring, lane or receipt.
        NewerVersion: sealed by a newer gateway.
        KeyMissing: the key of its day is not here.
    """
    found, start = _label(sealed)
    if (found.ring, found.lane, found.receipt) != (ring, lane, receipt):
        raise Damaged("sealed for another ring, lane or receipt")
    key = keys.opening(found.day, ring)
    nonce = sealed[start : start + _NONCE_BYTES]
    try:
        return key.cipher.decrypt(nonce, memoryview(sealed)[start + _NONCE_BYTES :], sealed[:start])
    except InvalidTag:
        raise Damaged("not sealed by a door of ours") from None


def _short(text: str) -> bytes:
    written = text.encode("ascii")
    if not 0 < len(written) < 256:
        raise ValueError("lane and receipt have 1 to 255 characters")
    return bytes((len(written),)) + written


def _label(sealed: bytes) -> tuple[Label, int]:
    """Return the label and the offset just past it, where at least nonce and tag follow."""
    if not sealed:
        raise Damaged("empty")
    if sealed[0] > VERSION:
        raise NewerVersion(f"seal version {sealed[0]}, this gateway opens up to {VERSION}")
    if sealed[0] != VERSION or len(sealed) < _PREFIX.size:
        raise Damaged("cut in the label")
    _, ring, day = _PREFIX.unpack_from(sealed)
    texts, start = [], _PREFIX.size
    for _ in range(2):
        if start >= len(sealed):
            raise Damaged("cut in the label")
        end = start + 1 + sealed[start]
        texts.append(sealed[start + 1 : end])
        start = end
    if start + _NONCE_BYTES + _TAG_BYTES > len(sealed):
        raise Damaged("cut after the label")
    try:
        lane, receipt = (text.decode("ascii") for text in texts)
        return Label(ring=Ring(ring), day=day, lane=lane, receipt=receipt), start
    except ValueError:
        raise Damaged("label") from None
