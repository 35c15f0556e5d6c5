"""
The framing of MLLP: bytes in, frames out.

```
   between ──0B──▶ inside ──1C──▶ ending ──0D──▶ a frame; between
      │               │              └──0B──▶ a frame; inside (the CR was left out)
      │ CR LF space   │ 0B: the frame before never ended; more than the limit; 1C and another byte
      │ tab: skipped  ▼
      └─ other ──▶ lost: nothing more is read
```

A boundary that is lost cannot be found again: a later 0B may stand inside anything. What was read is answered for, then the
connection is closed (ARCHITECTURE.md).

Source: MLLP Release 1 (start block 0B, end block 1C 0D).
"""

import enum
import re
from typing import Final

import msgspec

START: Final = b"\x0b"
END: Final = b"\x1c\r"

_FS: Final = 0x1C
_CR: Final = 0x0D
_VT: Final = 0x0B
_NOT_BLANK: Final = re.compile(rb"[^\r\n \t]")

#: How much of a frame that cannot be taken is kept, to find its MSH segment.
HEAD_BYTES: Final = 4096


class Frame(msgspec.Struct, frozen=True):
    """One whole frame."""

    #: What stood between the start and the end block, unchanged.
    payload: bytes


class Fault(enum.StrEnum):
    """Why no frame can be read any more."""

    #: More bytes than the limit; nothing says where it ends.
    TOO_LARGE = "too_large"
    #: All connections together hold more than the door bears.
    OVERLOADED = "overloaded"
    #: The frame ended without its end block: another one began, or the sender stopped.
    TRUNCATED = "truncated"
    #: Bytes outside any frame, or an end block without its end.
    LOST = "lost"


class FrameError(msgspec.Struct, frozen=True):
    """The boundary of frames is lost: nothing more comes out of the reader."""

    fault: Fault
    #: The first bytes of the frame, at most `HEAD_BYTES`.
    head: bytes
    #: How many bytes of the frame had been read.
    size: int = 0


class _State(enum.Enum):
    BETWEEN = enum.auto()
    INSIDE = enum.auto()
    ENDING = enum.auto()
    LOST = enum.auto()


class FrameReader:
    """Reads frames out of bytes as they come, however they are cut; holds one frame of at most `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        """
        Begin between frames.

        Args:
            limit_bytes: The longest payload that is taken.
        """
        self._limit = limit_bytes
        self._state = _State.BETWEEN
        self._payload = bytearray()

    @property
    def inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._state in {_State.INSIDE, _State.ENDING}

    @property
    def held(self) -> int:
        """How many bytes of an unended frame are held."""
        return len(self._payload)

    def feed(self, data: bytes) -> list[Frame | FrameError]:
        """
        Read more bytes; each is looked at once.

        Args:
            data: The next bytes of the connection.

        Returns:
            The frames that ended in them, in order; a `FrameError` is the last of all.
        """
        found: list[Frame | FrameError] = []
        position = 0
        while position < len(data) and self._state is not _State.LOST:
            match self._state:
                case _State.BETWEEN:
                    position = self._begin(data, position, found)
                case _State.INSIDE:
                    position = self._read(data, position, found)
                case _:
                    position = self._end(data, position, found)
        return found

    def end(self) -> Frame | FrameError | None:
        """
        Say that no more bytes come.

        Returns:
            A frame whose end block lacked its CR, a `FrameError` (truncated) for an unended frame, or None.
        """
        state, self._state = self._state, _State.LOST
        if state is _State.ENDING:
            payload, self._payload = bytes(self._payload), bytearray()
            return Frame(payload)
        return self._error(Fault.TRUNCATED) if state is _State.INSIDE else None

    def forget(self) -> None:
        """Let go of whatever is held: nobody sends the rest of it."""
        self._state = _State.LOST
        self._payload = bytearray()

    def give_up(self) -> FrameError:
        """Let go of an unended frame: there is no room for the rest of it."""
        return self._error(Fault.OVERLOADED)

    def _begin(self, data: bytes, position: int, found: list[Frame | FrameError]) -> int:
        first = _NOT_BLANK.search(data, position)
        if first is None:
            return len(data)
        if data[first.start()] == _VT:
            self._state = _State.INSIDE
        else:
            found.append(self._error(Fault.LOST))
        return first.end()

    def _read(self, data: bytes, position: int, found: list[Frame | FrameError]) -> int:
        # Two searches of the library walk ten times as fast as one for a class of bytes.
        end = data.find(_FS, position)
        begin = data.find(_VT, position, len(data) if end < 0 else end)
        stop = next((at for at in (begin, end) if at >= 0), len(data))
        if len(self._payload) + stop - position > self._limit:
            self._payload += data[position : position + self._limit + 1 - len(self._payload)]
            found.append(self._error(Fault.TOO_LARGE))
            return stop
        self._payload += data[position:stop]
        if stop == len(data):
            return stop
        if begin < 0:
            self._state = _State.ENDING
        else:
            found.append(self._error(Fault.TRUNCATED))
        return stop + 1

    def _end(self, data: bytes, position: int, found: list[Frame | FrameError]) -> int:
        byte = data[position]
        if byte not in {_CR, _VT}:
            found.append(self._error(Fault.LOST))
            return position
        found.append(Frame(bytes(self._payload)))
        self._payload = bytearray()
        self._state = _State.BETWEEN if byte == _CR else _State.INSIDE
        return position + 1

    def _error(self, fault: Fault) -> FrameError:
        self._state = _State.LOST
        error = FrameError(fault, bytes(self._payload[:HEAD_BYTES]), len(self._payload))
        self._payload = bytearray()
        return error
