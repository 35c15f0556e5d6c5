"""The table of routes of the door: every module that has some, in the order of the documentation."""

from collections.abc import Sequence

import msgspec

from gateway.adapters.http import openapi
from gateway.adapters.http.call import Call, Reply
from gateway.adapters.http.cda import CdaRoutes
from gateway.adapters.http.engine import Engine
from gateway.adapters.http.fhir import FhirRoutes
from gateway.adapters.http.health import Health, HealthRoutes
from gateway.adapters.http.hl7v2 import Hl7v2Routes
from gateway.adapters.http.registry import Access, Answered, Registry, Route
from gateway.model.source import Directory

_JSON = "application/json"


def table(engine: Engine, directory: Directory, health: Health, more: Sequence[Route], version: str) -> Registry:
    """
    Return the table of the door.

    Args:
        engine: What takes deposits and events.
        directory: Every establishment and source.
        health: How the process is.
        more: Routes that need what a door may not know: the record's reader.
        version: Of the program, for OpenAPI.

    Raises:
        Unruled: a row cannot be used; see `Registry`.
    """
    described = _Described(version)
    registry = Registry(
        (
            *Hl7v2Routes(engine).routes(),
            *CdaRoutes(engine, directory).routes(),
            *FhirRoutes(engine, directory, version=version, started_at=engine.clock.now()).routes(),
            *more,
            *HealthRoutes(health).routes(),
            described.route(),
        )
    )
    described.of(registry)
    return registry


class _Described:
    """`/openapi.json`: printed once, from the table that it stands in itself."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._body = b""

    def of(self, registry: Registry) -> None:
        self._body = msgspec.json.format(msgspec.json.encode(openapi.document(registry, self._version)), indent=2)

    def route(self) -> Route:
        return Route(
            method="GET",
            path="/openapi.json",
            name="openapi",
            summary="This description.",
            access=Access.PUBLIC,
            handler=self._show,
            answers=(Answered(status=200, text="OpenAPI 3.1.", types=(_JSON,), schema={"type": "object"}),),
        )

    def _show(self, _call: Call) -> Reply:
        return Reply(body=self._body, content_type=_JSON)
