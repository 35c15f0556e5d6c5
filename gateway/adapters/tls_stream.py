"""
TLS over one connection that was accepted: handshake in a time limit, then a transport like a plain one.

asyncio's own layer (`start_tls`) closes a failed handshake without its alert: a sender whose certificate is refused would read
nothing but the end of the connection. It gives up half a connection as well, where an answer is still to be written.
"""

import asyncio
import contextlib
import enum
import ssl
from collections.abc import Callable
from typing import Any, Final

#: How long a refused connection stays for its alert to be read: closed with unread bytes, it would be lost on its way.
LINGER_SECONDS: Final = 2.0

_READ: Final = 64 * 1024


class _State(enum.Enum):
    SHAKING = enum.auto()
    OPEN = enum.auto()
    #: Nothing more is read or written.
    CLOSING = enum.auto()
    LOST = enum.auto()


class TlsStream(asyncio.Protocol, asyncio.Transport):
    """Protocol of the connection below, transport of the one above."""

    def __init__(
        self,
        context: ssl.SSLContext,
        handshake_seconds: float,
        *,
        secured: "Callable[[TlsStream], asyncio.Protocol | None]",
        failed: "Callable[[TlsStream, str], None]",
        ended: "Callable[[TlsStream], None]",
    ) -> None:
        """
        Take what a handshake needs.

        Args:
            context: Of the server.
            handshake_seconds: How long it may take.
            secured: Called after the handshake; returns the protocol above, or None: the connection is closed.
            failed: Called instead, with the reason in a word.
            ended: Called when the handshake is over, well or not, and nothing lingers of it.
        """
        super().__init__()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._seconds = handshake_seconds
        self._secured = secured
        self._failed = failed
        self._ended: Callable[[TlsStream], None] | None = ended
        self._state = _State.SHAKING
        self._below: asyncio.Transport | None = None
        self._above: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        #: The other end writes no more.
        self._at_end = False
        #: We write no more.
        self._ended_writing = False

    @property
    def tls(self) -> ssl.SSLObject:
        """The connection as TLS knows it."""
        return self._tls

    # -- from below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the other end to begin."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("TLS is spoken over a stream")
        self._below = transport
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._late)

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, or hand on what was read."""
        if self._state is _State.CLOSING or self._state is _State.LOST:
            return
        self._incoming.write(data)
        if self._state is _State.SHAKING:
            self._shake()
        if self._state is _State.OPEN:
            self._read()

    def eof_received(self) -> bool:
        """Hand on the end."""
        self._incoming.write_eof()
        if self._state is _State.SHAKING:
            self._fail("lost")
        elif self._state is _State.OPEN:
            self._read()
        elif self._below is not None:
            self._below.close()
        return True  # whoever is above decides

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on the loss."""
        before, self._state = self._state, _State.LOST
        if self._timer is not None:
            self._timer.cancel()
        if before is _State.SHAKING:
            self._failed(self, "lost")
        self._over()
        if self._above is not None:
            self._above.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand on that the other end does not read."""
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it does."""
        if self._above is not None:
            self._above.resume_writing()

    # -- from above

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return `ssl_object`, or what is known of the connection below."""
        if name == "ssl_object":
            return self._tls
        return default if self._below is None else self._below.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes on to another one."""
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError("TLS carries a stream")
        self._above = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return to whom what comes is handed on."""
        return self if self._above is None else self._above

    def is_closing(self) -> bool:
        """Return whether nothing more is written."""
        return self._state in {_State.CLOSING, _State.LOST} or self._below is None or self._below.is_closing()

    def is_reading(self) -> bool:
        """Return whether what comes is handed on."""
        return self._state is _State.OPEN and not self._paused

    def pause_reading(self) -> None:
        """Hand on nothing, and read nothing from the socket."""
        self._paused = True
        if self._below is not None and not self._below.is_closing():
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """Hand on what is there, then what comes."""
        self._paused = False
        if self._below is not None and not self._below.is_closing():
            self._below.resume_reading()
        asyncio.get_running_loop().call_soon(self._read)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and write."""
        left = memoryview(data)
        try:
            while left and self._state is _State.OPEN and not self._ended_writing:
                left = left[self._tls.write(left) :]
                self._flush()
        except ssl.SSLError:
            self.abort()

    def can_write_eof(self) -> bool:
        """Return that one direction alone can end (RFC 8446 § 6.1)."""
        return True

    def write_eof(self) -> None:
        """Say that we write no more."""
        if self._state is _State.OPEN and not self._ended_writing:
            self._ended_writing = True
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()

    def close(self) -> None:
        """Say that we are done, send what is left, close."""
        self.write_eof()
        self._close_below()

    def abort(self) -> None:
        """Close at once."""
        if self._state is not _State.LOST:
            self._state = _State.CLOSING
        if self._below is not None:
            self._below.abort()

    def give_up(self) -> None:
        """Close a handshake that is under way, without a word."""
        if self._state is _State.SHAKING:
            self._state = _State.CLOSING
        self.abort()

    def get_write_buffer_size(self) -> int:
        """Return how much is not sent yet."""
        return 0 if self._below is None else self._below.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say when writing pauses."""
        if self._below is not None:
            self._below.set_write_buffer_limits(high, low)

    # -- between

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._flush()  # the alert
            self._fail(why(error))
        else:
            self._flush()
            self._open()

    def _open(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._state = _State.OPEN
        self._above = self._secured(self)
        self._over()
        if self._above is None:
            self._dismiss()
        else:
            self._above.connection_made(self)

    def _read(self) -> None:
        while self._state is _State.OPEN and not self._paused and not self._at_end:
            try:
                data = self._tls.read(_READ)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                data = b""
            except ssl.SSLError:
                self._flush()
                self.abort()
                return
            if self._above is None:
                return
            if data:
                self._above.data_received(data)
            else:
                self._at_end = True
                if not self._above.eof_received():
                    self.close()
        self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._below is not None and not self._below.is_closing():
            self._below.write(data)

    def _late(self) -> None:
        if self._state is _State.SHAKING:
            self._failed(self, "handshake_timeout")
            self._state = _State.CLOSING
            self.abort()

    def _fail(self, reason: str) -> None:
        self._state = _State.CLOSING
        self._failed(self, reason)
        self._dismiss()

    def _dismiss(self) -> None:
        """Close, and give the other end time to read why."""
        self.write_eof()
        self._state = _State.CLOSING
        if self._timer is not None:
            self._timer.cancel()
        if self._below is None or self._below.is_closing():
            return
        if self._below.can_write_eof():
            self._below.write_eof()
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._below.abort)

    def _close_below(self) -> None:
        if self._state is not _State.LOST:
            self._state = _State.CLOSING
        if self._below is not None:
            self._below.close()

    def _over(self) -> None:
        if self._ended is not None and (self._state is _State.LOST or self._above is not None):
            ended, self._ended = self._ended, None
            ended(self)


#: Why a certificate was not taken, by OpenSSL's number of it (X509_V_ERR_…).
_CERTIFICATE: Final = {
    3: "revocations_missing",
    9: "certificate_not_yet_valid",
    10: "certificate_expired",
    12: "revocations_expired",
    18: "certificate_self_signed",
    19: "certificate_unknown_authority",
    20: "certificate_unknown_authority",
    21: "certificate_unknown_authority",
    23: "certificate_revoked",
    26: "certificate_wrong_purpose",
}

_REASONS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "certificate_absent",
    "HTTP_REQUEST": "not_tls",
    "WRONG_VERSION_NUMBER": "not_tls",
    "UNSUPPORTED_PROTOCOL": "tls_version",
    "UNKNOWN_PROTOCOL": "tls_version",
    "NO_SHARED_CIPHER": "tls_cipher",
}


def why(error: ssl.SSLError) -> str:
    """Return in a word why a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(error.verify_code, "certificate_invalid")
    reason = getattr(error, "reason", None) or ""
    if "ALERT" in reason:  # the other end does not take ours
        return "refused_by_peer"
    return _REASONS.get(reason, "handshake_failed")
