"""A request as the routes see it, and what they answer: nothing of a server or of a web framework."""

from collections.abc import Mapping

import msgspec

from gateway.model.problem import Problem
from gateway.model.source import Directory, Peer, Source

#: The one media type of problems (RFC 9457).
PROBLEM_JSON = "application/problem+json"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and for whom they may speak."""

    peer: Peer
    #: Every establishment, and the sources that this request may speak for.
    admitted: Directory
    #: The one that it speaks for; None: the route needs none, or the message itself names it (MSH-3, MSH-4).
    source: Source | None = None
    #: Whether it asks from this machine, or from a network of monitors.
    is_monitor: bool = False


class MediaType(msgspec.Struct, frozen=True, kw_only=True):
    """A Content-Type, read."""

    #: ``application/fhir+json``, lower case; "" if there is none.
    name: str = ""
    #: Parameters by lower-case name.
    parameters: Mapping[str, str] = {}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, received whole."""

    #: Ours, or the sender's X-Request-Id: joins answer and log.
    request_id: str
    method: str
    #: As routed: without a trailing slash.
    path: str
    #: What the path's placeholders stand for.
    variables: Mapping[str, str]
    #: Decoded, in order.
    query: tuple[tuple[str, str], ...]
    #: By lower-case name; several of one name are joined with ", ".
    headers: Mapping[str, str]
    media_type: MediaType
    #: Decompressed; never more than the route's limit.
    body: bytes
    caller: Caller

    @property
    def source(self) -> Source:
        """The source that it speaks for: a route with `Access.SOURCE` always has one."""
        if self.caller.source is None:
            raise LookupError("this route speaks for no source")
        return self.caller.source

    @property
    def wants_async(self) -> bool:
        """Whether it prefers 202 and a place to ask (RFC 7240 ``Prefer: respond-async``)."""
        return any(token.strip().lower() == "respond-async" for token in self.headers.get("prefer", "").split(","))


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""

    status: int = 200
    body: bytes = b""
    #: "" with an empty body.
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """A request that is answered with problems; how they are written is the path's affair (problem+json, OperationOutcome)."""

    def __init__(
        self,
        *problems: Problem,
        status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        receipt: str = "",
        reference: str = "",
    ) -> None:
        """
        Keep what the answer needs.

        Args:
            problems: At least one; the first error decides.
            status: None: the one of the deciding problem's code.
            headers: Beside those of every answer.
            receipt: Of the deposit, where there is one.
            reference: Joins the answer to a line of the log.
        """
        super().__init__(", ".join(problem.code for problem in problems))
        self.problems = problems
        self.status = status
        self.headers = headers
        self.receipt = receipt
        self.reference = reference
