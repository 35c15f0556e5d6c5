"""
How a request is read: by waitress, checked where it is lax, bounded where it is not.

What two readers could read in two ways is refused, so that nothing can be smuggled past a proxy (RFC 9112 § 11.2).
"""

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error

from gateway.adapters.http.call import Refused
from gateway.model.problem import Problem

#: What chunks may add to a body, as a multiple of it, and beside that.
CHUNK_OVERHEAD: Final = 2
SLACK: Final = 64 * 1024
#: The longest line that says how long a chunk is, and the longest trailer.
_CHUNK_LINE: Final = 1024

#: Method, path and headers (by lower-case name) → why a request is refused before its body is read, or None.
Precheck = Callable[[str, str, Mapping[str, str]], Refused | None]


class Stopped(Error):  # type: ignore[misc]  # waitress has no types
    """A request that the server refuses by itself."""

    def __init__(self, refused: Refused, code: int = 400) -> None:
        self.refused = refused
        self.code = code
        super().__init__("")


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Reads one request."""

    error: Any
    body_rcv: Any

    def __init__(self, adj: Adjustments, body_limit: int, precheck: Precheck) -> None:
        """
        Begin.

        Args:
            adj: waitress's settings.
            body_limit: The longest body.
            precheck: Asked once the headers are there, where a body follows.
        """
        super().__init__(adj)
        self._limit = body_limit
        self._precheck = precheck
        self._checked = False
        self.path = "/"
        self.command = "GET"
        #: When its first byte came, `time.monotonic`.
        self.begun = time.monotonic()

    @property
    def held(self) -> int:
        """Bytes of its body."""
        return len(self.body_rcv) if self.body_rcv is not None else 0

    def received(self, data: bytes) -> int:
        """Read on; what is wrong ends the request."""
        if not self.header_plus and not self.headers_finished and data[:1] in {b" ", b"\t"}:
            # waitress would pass over it; a proxy may take such a line for the end of the one before (RFC 9112 § 2.2).
            self.stop(Refused(Problem(code="HTTP_REQUEST_INVALID")))
            return len(data)
        consumed = int(super().received(data))
        if self.headers_finished and not self._checked:
            self._checked = True
            # Who sends a body is asked before it is read, and before the sender is told to go on (Expect).
            too_long = getattr(self.error, "code", None) == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            if (self.error is None or too_long) and self.body_rcv is not None and not self.empty:
                refused = self._precheck(self.command, self.path, fields(self))
                if refused is None and self.content_length > self._limit:
                    refused = Refused(Problem(code="TOO_LARGE"))
                if refused is not None:
                    self.stop(refused)
            if self.error is not None or self.body_rcv is None:
                # waitress would tell the sender to go on, and read what it has refused, or what never comes.
                self.expect_continue = False
        if self.error is None and self.body_rcv is not None:
            self._bound()
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """
        Read first line and headers.

        Raises:
            ParsingError: as the base class; and what a proxy before us might read otherwise (RFC 9112 § 3.2, § 6.1).
        """
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("folded header")  # RFC 9112 § 5.2
        try:
            super().parse_header(header_plus)
        except ValueError:  # an address in the target that is none
            raise ParsingError("target") from None
        if self.version not in {"1.0", "1.1"}:
            raise ParsingError("version")
        if not self.path.startswith("/"):
            raise ParsingError("target")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding")
        if "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("Transfer-Encoding in HTTP/1.0")
        host = self.headers.get("HOST")
        if (self.version == "1.1" and host is None) or (host is not None and "," in host):
            raise ParsingError("Host")

    def stop(self, refused: Refused) -> None:
        """End the request here: it is answered by a refusal, and the connection closed."""
        self.error = Stopped(refused)
        self.expect_continue = False
        self.completed = True
        self.close()
        self.body_rcv = None  # what it held is free for others at once

    def _bound(self) -> None:
        receiver = self.body_rcv
        if self.held > self._limit:
            self.stop(Refused(Problem(code="TOO_LARGE")))
        elif self.chunked and (
            max(len(receiver.control_line), len(receiver.trailer)) > _CHUNK_LINE
            # Chunks of a byte or two cost the server's thread many times what their bytes are worth.
            or self.body_bytes_received > CHUNK_OVERHEAD * self.held + SLACK
        ):
            self.stop(Refused(Problem(code="HTTP_BODY_INVALID", detail="chunk")))


def fields(request: Any) -> dict[str, str]:
    """Return the headers of a request, by lower-case name."""
    return {name.replace("_", "-").lower(): value for name, value in request.headers.items()}
