"""
The keys of this machine (D-7): a folder of its own, outside every backup, never in a database, a broker or a log.

One file a ring and day (``flow-2026-11-21.key``), 32 bytes each, and ``receipts.key``. `initialise` draws the first secrets;
every machine that has a copy of them then computes the same keys day by day, each from the one before:
K(d+1) = HKDF-SHA256(K(d), ring ‖ UTC day). Whoever has the key of a day has all later ones and none of the earlier.

Keys go forward with the days (`Keys.ratchet`) and are erased behind (`Keys.erase`), by whoever knows that nothing sealed by them
is waited for: `gateway.queue.markers`. The newest is never erased: the next comes out of it.
"""

import secrets
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.model.ports import Clock
from gateway.queue import key_files as files
from gateway.queue.errors import KeyMissing, KeysUnusable
from gateway.queue.key_files import KEY_BYTES, RECEIPTS, Ring, date_of, day_of, midnight

__all__ = ["FENCE", "DayKey", "Keys", "Ring", "initialise", "initialised"]

#: A clock may be ahead of another machine's by less than this many days.
_AHEAD_DAYS: Final = 1
#: Ten years without a start are a wrong clock.
_FORWARD_DAYS: Final = 3660

#: What was sealed on a day counts as published only while no more than this has passed since that day's end: longer than any
#: confirm is waited for, so that nobody is refused who was not frozen; see `gateway.queue.markers`.
FENCE: Final = timedelta(seconds=60)


class DayKey:
    """The key of a ring and day, ready to seal and open."""

    __slots__ = ("cipher", "day", "secret")

    def __init__(self, day: int, secret: bytes) -> None:
        self.day = day
        self.secret = secret
        self.cipher = AESGCM(secret)

    def next(self, ring: Ring) -> "DayKey":
        """Return the key of the day after."""
        info = ring.name.lower().encode() + date_of(self.day + 1).isoformat().encode()
        return DayKey(self.day + 1, HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self.secret))


def initialise(directory: Path, clock: Clock) -> None:
    """
    Draw the first secrets of a new installation: both rings for today, and the receipts' secret.

    Args:
        directory: Made with mode 0700 if it is not there.
        clock: Tells today, UTC.

    Raises:
        KeysUnusable: secrets are there already, or the folder is open to others.
    """
    today = day_of(clock.now())
    make_folder(directory)
    with files.locked(directory):
        if files.days_in(directory, Ring.FLOW):
            raise KeysUnusable(f"{directory} holds keys already: they are never drawn twice")
        # The flow ring comes last: its presence says that the others are there.
        if not (directory / RECEIPTS).exists():
            files.write(directory / RECEIPTS, secrets.token_bytes(KEY_BYTES))
        if not files.days_in(directory, Ring.PARKING):
            files.write(files.file_of(directory, Ring.PARKING, today), secrets.token_bytes(KEY_BYTES))
        files.write(files.file_of(directory, Ring.FLOW, today), secrets.token_bytes(KEY_BYTES))


def make_folder(directory: Path) -> None:
    """
    Make the folder of the keys, if need be.

    Raises:
        KeysUnusable: it is there and open to others.
    """
    fresh = not directory.exists()
    directory.mkdir(mode=files.PRIVATE_FOLDER, parents=True, exist_ok=True)
    if fresh:
        files.sync_folder(directory.parent)
    files.refuse_open_folder(directory)


def initialised(directory: Path) -> bool:
    """Tell whether the first secrets were all drawn: the key of the flow ring comes last."""
    return any(directory.glob("flow-*.key"))


class Keys:
    """The keys of this machine, computed forward and kept as days pass. Any thread may use it."""

    def __init__(self, directory: Path, clock: Clock, rings: dict[Ring, dict[int, DayKey]], receipts: bytes) -> None:
        self.directory = directory
        self._clock = clock
        self._rings = rings
        self._lock = threading.Lock()
        #: The secret of the receipts' MAC.
        self.receipts = receipts

    @classmethod
    def open(cls, directory: Path, clock: Clock) -> Self:
        """
        Read the keys of a folder.

        Args:
            directory: Where `initialise` (or the operator's copy) put them.
            clock: Tells today, UTC.

        Raises:
            KeysUnusable: no secret there, or folder or file open to others than its owner.
        """
        if not directory.is_dir():
            raise KeysUnusable(f"{directory} is not there: make the first secret with `dmp-gateway keys init`")
        files.refuse_open_folder(directory)
        with files.locked(directory):
            files.sweep(directory)
            rings = {
                ring: {
                    day: DayKey(day, files.read(files.file_of(directory, ring, day))) for day in files.days_in(directory, ring)
                }
                for ring in Ring
            }
            if not all(rings.values()) or not (directory / RECEIPTS).exists():
                raise KeysUnusable(f"{directory} holds no full set of secrets: make the first one with `dmp-gateway keys init`")
            return cls(directory, clock, rings, files.read(directory / RECEIPTS))

    def today(self) -> int:
        """Return today's number: days since 1970-01-01, UTC."""
        return day_of(self._clock.now())

    def now(self) -> datetime:
        """Return the present instant."""
        return self._clock.now()

    def sealing_day(self, ring: Ring = Ring.FLOW) -> int:
        """
        Return the day to seal under: today, or the day after where its key is there already.

        A clock that goes back over midnight must not bring back a day that a marker may have ended (`gateway.queue.markers`).
        """
        today, newest = self.today(), max(self._rings[ring])
        return newest if newest == today + 1 else today

    def sealing(self, day: int, ring: Ring = Ring.FLOW) -> DayKey:
        """
        Return the key to seal with on a day.

        Args:
            day: Days since 1970-01-01, UTC.
            ring: What it is for.

        Returns:
            That day's key; the first key there is, if the clock went back behind it.

        Raises:
            KeysUnusable: the day is out of reach, or the key cannot be kept in the folder (it is never used before).
        """
        try:
            return self._key(max(day, min(self._rings[ring])), ring)
        except KeyMissing as missing:
            raise KeysUnusable(str(missing)) from None
        except OSError as failed:
            raise KeysUnusable(f"{self.directory}: {failed.strerror}") from None

    def opening(self, day: int, ring: Ring = Ring.FLOW) -> DayKey:
        """
        Return the key to open with what was sealed on a day.

        Args:
            day: Days since 1970-01-01, UTC, as written in the sealed payload.
            ring: What it is for.

        Raises:
            KeyMissing: erased, from before the first key here, or from after tomorrow.
        """
        try:
            return self._key(day, ring)
        except OSError as failed:
            raise KeyMissing(f"key of {ring.name.lower()}, day {day}: {failed.strerror}") from None

    def counts(self, day: int) -> bool:
        """Tell whether what was sealed on a day may still be acknowledged: its day is not over for longer than `FENCE`."""
        return self._clock.now() <= midnight(day + 1) + FENCE

    def held(self, ring: Ring = Ring.FLOW) -> list[int]:
        """Return the days whose keys the folder holds, in order."""
        return files.days_in(self.directory, ring)

    def ratchet(self) -> None:
        """
        Bring both rings to today and forget in memory what another process of this machine has erased.

        Raises:
            KeysUnusable: the clock ran away, or the folder cannot be read or written.
        """
        for ring in Ring:
            self.sealing(self.today(), ring)
            try:
                with self._lock, files.locked(self.directory):
                    there = set(files.days_in(self.directory, ring))
                    self._keep(ring, there)
            except OSError as failed:
                raise KeysUnusable(f"{self.directory}: {failed.strerror}") from None

    def peek(self, day: int, ring: Ring = Ring.FLOW) -> DayKey:
        """
        Return the key of a day, computed in memory alone where it is not held yet: nothing is written.

        Raises:
            KeyMissing: erased, from before the first key here, or out of reach.
        """
        known = self._rings[ring]
        key = known.get(day) or known[max(known)]
        if not key.day <= day <= key.day + _FORWARD_DAYS:
            raise KeyMissing(f"no key of {ring.name.lower()}, day {day}")
        while key.day < day:
            key = key.next(ring)
        return key

    def forget(self, before: int) -> None:
        """Drop from memory the flow ring's keys before a day; the folder keeps them. A door opens nothing of a past day."""
        with self._lock:
            self._keep(Ring.FLOW, {day for day in self._rings[Ring.FLOW] if day >= before})

    def erase(self, ring: Ring, through: int) -> list[int]:
        """
        Erase the keys up to a day, here and on the disk; the newest stays whatever is asked.

        Args:
            ring: Which.
            through: The last day to erase.

        Returns:
            The days erased now.

        Raises:
            KeysUnusable: the folder cannot be written; what was erased is.
        """
        gone = []
        try:
            with self._lock, files.locked(self.directory):
                files.sweep(self.directory)
                there = files.days_in(self.directory, ring)
                for day in there[:-1]:
                    if day <= through:
                        files.erase(files.file_of(self.directory, ring, day))
                        gone.append(day)
                self._keep(ring, set(there) - set(gone))
        except OSError as failed:
            raise KeysUnusable(f"{self.directory}: {failed.strerror}") from None
        return gone

    def _keep(self, ring: Ring, days: set[int]) -> None:
        """Keep the keys of these days in memory, and the newest, from which the next comes; the caller holds the lock."""
        known = self._rings[ring]
        newest = max(known)
        self._rings[ring] = {day: key for day, key in known.items() if day in days or day == newest}

    def _key(self, day: int, ring: Ring) -> DayKey:
        known = self._rings[ring].get(day)
        return known if known is not None else self._forward(day, ring)

    def _forward(self, day: int, ring: Ring) -> DayKey:
        """Compute and keep the keys up to a day."""
        with self._lock:
            known = self._rings[ring]
            if day in known:
                return known[day]
            last = max(known)
            if not last < day <= min(self.today() + _AHEAD_DAYS, last + _FORWARD_DAYS):
                raise KeyMissing(f"no key of {ring.name.lower()}, day {day}")
            with files.locked(self.directory):
                # What another process computed and erased since is not brought back.
                newest = max(files.days_in(self.directory, ring), default=last)
                key = known[last]
                while key.day < day:
                    key = key.next(ring)
                    if key.day > newest:
                        files.write(files.file_of(self.directory, ring, key.day), key.secret)
                    # Another dictionary each time: whoever looks into the old one meanwhile is not disturbed.
                    self._rings[ring] = {**self._rings[ring], key.day: key}
            return key


class BorrowedKeys(Keys):
    """The keys as an operator's verb uses them: a day that is not held yet is computed in memory, nothing is written."""

    def _forward(self, day: int, ring: Ring) -> DayKey:
        return self.peek(day, ring)
