"""
The table of routes (D-22): whatever the door answers stands here, with who may ask.

A route without an access rule, or whose rule leaves open who may ask, does not start; nor does a web framework that knows a path
which is not in this table. OpenAPI is printed from it.
"""

import enum
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.adapters.http.call import PROBLEM_JSON, Call, Refused, Reply
from gateway.model.source import Grant

#: Placeholders of a path: a letter, then letters, digits, underscores.
_PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._$-]+|\{[a-z][a-z0-9_]*\}))+")
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Access(enum.StrEnum):
    """Who may ask."""

    #: Whoever can connect; it must show nothing about anybody.
    PUBLIC = "public"
    #: A monitor: on this machine, or in a network of monitors.
    MONITOR = "monitor"
    #: One source, which the token, the certificate or the connection shows (X-DMP-Source chooses among several).
    SOURCE = "source"
    #: A connection that admits sources; the message itself names one (MSH-3, MSH-4).
    CONNECTION = "connection"


class Style(enum.StrEnum):
    """How a refusal is written."""

    #: problem+json (RFC 9457).
    PROBLEM = "problem"
    #: OperationOutcome.
    FHIR = "fhir"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One answer that a route may give, as OpenAPI declares it."""

    status: int
    text: str
    #: Media types of its body; none: it has no body.
    types: tuple[str, ...] = ()
    #: A type of ours, or a JSON schema as it is; None: any text or bytes.
    schema: Any = None
    #: Header → what it says.
    headers: Mapping[str, str] = {}


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of the path, of the query, or a header, as OpenAPI declares it."""

    name: str
    #: path, query or header.
    where: str
    text: str
    pattern: str | None = None
    required: bool = False


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row: a method and a path, who may ask, what it takes and answers."""

    method: str
    #: Without a trailing slash, which is taken as well; ``{id}`` stands for one segment.
    path: str
    #: Unique; OpenAPI's operationId.
    name: str
    summary: str
    access: Access
    handler: Callable[[Call], Reply]
    #: The good answers, and refusals that only this route has; the others are added by its rule.
    answers: tuple[Answered, ...]
    #: Each of these the source must have; only with `Access.SOURCE`.
    grants: tuple[Grant, ...] = ()
    #: Media types that it takes; none: it takes no body.
    consumes: tuple[str, ...] = ()
    #: What of a body OpenAPI says: a type of ours, or a JSON schema as it is.
    body_schema: Any = None
    #: An example of a body, for OpenAPI.
    body_example: Any = None
    parameters: tuple[Parameter, ...] = ()
    style: Style = Style.PROBLEM


#: Writes a refusal in its style. The call is None where a request could not even be read.
Renderer = Callable[[Refused, str], Reply]


class Unruled(Exception):
    """The table of routes cannot be used; says which row and why."""


class Registry:
    """The table, checked."""

    def __init__(self, routes: Sequence[Route]) -> None:
        """
        Check and keep the table.

        Args:
            routes: Every row.

        Raises:
            Unruled: a row has no rule, or one that leaves open who may ask; two have the same method and path, or name.
        """
        self.routes = tuple(routes)
        names: set[str] = set()
        keys: set[tuple[str, str]] = set()
        for route in self.routes:
            _check(route)
            key = (route.method, _PLACEHOLDER.sub("{}", route.path))
            if route.name in names or key in keys:
                raise Unruled(f"{route.method} {route.path} ({route.name}) stands twice in the table")
            names.add(route.name)
            keys.add(key)

    def rules(self) -> Iterator[tuple[str, str, str, Route]]:
        """Yield method, path with and without a trailing slash, and row, of every row."""
        for route in self.routes:
            yield route.method, route.path, route.name, route
            yield route.method, f"{route.path}/", f"{route.name}/", route

    def style_of(self, path: str) -> Style:
        """Return how a refusal under a path is written, known or unknown."""
        return Style.FHIR if path == "/fhir" or path.startswith("/fhir/") else Style.PROBLEM


def placeholders(path: str) -> tuple[str, ...]:
    """Return the names of a path's placeholders."""
    return tuple(_PLACEHOLDER.findall(path))


def _check(route: Route) -> None:
    where = f"{route.method} {route.path} ({route.name})"
    if not isinstance(route.access, Access):
        raise Unruled(f"{where} has no access rule")
    if route.grants and route.access is not Access.SOURCE:
        raise Unruled(f"{where} asks for grants of a source that its rule does not ask for")
    if route.method not in _METHODS or not _PATH.fullmatch(route.path):
        raise Unruled(f"{where}: not a method, or not a path without a trailing slash")
    if not route.answers:
        raise Unruled(f"{where} declares no answer")
    if not any(answered.status < 400 for answered in route.answers):
        raise Unruled(f"{where} declares no good answer")
    if route.method in {"POST", "PUT", "PATCH"} and not route.consumes:
        raise Unruled(f"{where} does not say which media types it takes")
    if {p.name for p in route.parameters if p.where == "path"} != set(placeholders(route.path)):
        raise Unruled(f"{where}: its placeholders are not the parameters of its path")


#: What a refusal's body is, by style.
REFUSAL_TYPES: Final = {Style.PROBLEM: PROBLEM_JSON, Style.FHIR: "application/fhir+json"}
