"""
The secret of an installation on its way to another machine, as the operator carries it: once, like a TLS key (D-7).

It holds, of each ring, the oldest key that is still held, from which all later ones come: a machine that takes over what waits
must open what waits. So it ages: whoever finds a copy later opens what was sealed since. It is best piped from one machine to
the other and never put on a disk; a fingerprint, the same on both machines on the same day, tells that it arrived whole.
"""

import base64
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta

from gateway.model.ports import Clock
from gateway.queue import key_files as files
from gateway.queue.errors import KeyMissing, KeysUnusable
from gateway.queue.key_files import KEY_BYTES, RECEIPTS, Ring, date_of, day_of
from gateway.queue.keys import Keys, make_folder

_FORMAT: Final = "dmp-gateway keys 1"
_FINGERPRINT_BYTES: Final = 10

_Secret = Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{43}=$")]


class RingCopy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ring: the oldest key held."""

    #: Days since 1970-01-01, UTC.
    day: Annotated[int, Meta(ge=0, le=100_000)]
    secret: _Secret


class Copy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `keys export` writes and `keys join` reads: JSON."""

    format: str
    flow: RingCopy
    parking: RingCopy
    receipts: _Secret


def export(keys: Keys) -> bytes:
    """
    Return the copy of an installation's secret.

    Args:
        keys: Of this machine.

    Raises:
        KeysUnusable: the folder cannot be read.
    """

    def ring(each: Ring) -> RingCopy:
        day = keys.held(each)[0]
        return RingCopy(day=day, secret=_text(files.read(files.file_of(keys.directory, each, day))))

    try:
        made = Copy(format=_FORMAT, flow=ring(Ring.FLOW), parking=ring(Ring.PARKING), receipts=_text(keys.receipts))
    except OSError as failed:
        raise KeysUnusable(f"{keys.directory}: {failed.strerror}") from None
    return msgspec.json.encode(made) + b"\n"


def join(directory: Path, copied: bytes, clock: Clock) -> Keys:
    """
    Put the secret of an installation into the folder of this machine, and bring it to today.

    Args:
        directory: Made if it is not there; it holds no key.
        copied: What `export` made.
        clock: Tells today, UTC.

    Returns:
        The keys of this machine.

    Raises:
        KeysUnusable: the folder holds keys already or is open to others, or it is no copy of ours, or of a day to come.
    """
    try:
        read = _DECODER.decode(copied)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise KeysUnusable("this is no copy made by `dmp-gateway keys export`") from None
    if read.format != _FORMAT:
        raise KeysUnusable("this copy was made by another version: export it again with this one")
    if max(read.flow.day, read.parking.day) > day_of(clock.now()):
        raise KeysUnusable("this copy is of a day to come: one of the two clocks is wrong")
    make_folder(directory)
    with files.locked(directory):
        if files.days_in(directory, Ring.FLOW):
            raise KeysUnusable(f"{directory} holds keys already: what is sealed by them could not be opened any more")
        # What a join or an `initialise` that was cut off left behind: nothing was ever sealed without the flow ring.
        files.sweep(directory)
        for day in files.days_in(directory, Ring.PARKING):
            files.erase(files.file_of(directory, Ring.PARKING, day))
        files.write(directory / RECEIPTS, base64.b64decode(read.receipts))
        files.write(files.file_of(directory, Ring.PARKING, read.parking.day), base64.b64decode(read.parking.secret))
        # As in `initialise`: its presence says that the others are there.
        files.write(files.file_of(directory, Ring.FLOW, read.flow.day), base64.b64decode(read.flow.secret))
    keys = Keys.open(directory, clock)
    keys.ratchet()
    return keys


def fingerprint(keys: Keys) -> str:
    """
    Return what two machines with the same secret both print on the same UTC day; it tells nothing of the secret.

    Raises:
        KeysUnusable: the clock went back behind the first key.
    """
    today = keys.today()
    try:
        secret = b"".join(keys.peek(today, ring).secret for ring in Ring) + keys.receipts
    except KeyMissing:
        raise KeysUnusable("the clock is behind the first key: set it, then compare") from None
    info = b"fingerprint" + date_of(today).isoformat().encode()
    made = HKDF(algorithm=SHA256(), length=_FINGERPRINT_BYTES, salt=None, info=info).derive(secret).hex()
    return "-".join(made[place : place + 4] for place in range(0, len(made), 4))


def _text(secret: bytes) -> str:
    if len(secret) != KEY_BYTES:
        raise ValueError("a key has another length")
    return base64.b64encode(secret).decode("ascii")


_DECODER: Final = msgspec.json.Decoder(Copy)
