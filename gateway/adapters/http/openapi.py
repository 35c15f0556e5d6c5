"""OpenAPI 3.1, printed from the table of routes: complete, since every answer stands there or follows from a route's rule."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from gateway.adapters.http.caller import SOURCE_HEADER
from gateway.adapters.http.problems import ProblemDetails
from gateway.adapters.http.registry import REFUSAL_TYPES, Access, Answered, Parameter, Registry, Route, Style

_REF: Final = "#/components/schemas/{name}"
_REQUEST_ID: Final = {"X-Request-Id": "The request's own id, or ours: it joins the answer to the log."}
_RETRY: Final = {"Retry-After": "Seconds after which to send it again."}
_CHALLENGE: Final = {"WWW-Authenticate": "How to show who asks."}
_OUTCOME: Final = {"type": "object", "description": "FHIR R4 OperationOutcome.", "required": ["resourceType"]}


def document(registry: Registry, version: str) -> dict[str, Any]:
    """
    Return the OpenAPI description of a table of routes.

    Args:
        registry: The table.
        version: Of the program.

    Source: OpenAPI 3.1.
    """
    types = [answered.schema for route in registry.routes for answered in answers(route)]
    types += [route.body_schema for route in registry.routes]
    ours = list(dict.fromkeys([ProblemDetails, *(kind for kind in types if isinstance(kind, type))]))
    _, components = msgspec.json.schema_components(ours, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in registry.routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dmp-gateway",
            "version": version,
            "summary": "The HTTP door: documents and consents in, their outcomes out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "The token of a source."},
                "certificate": {"type": "mutualTLS", "description": "A client certificate that a connection names."},
            },
        },
    }


def answers(route: Route) -> tuple[Answered, ...]:
    """Return every answer that a route may give: its own, then those that follow from its rule, each status once."""
    every = {answered.status: answered for answered in route.answers}
    for status, text, headers in _implied(route):
        if status not in every:
            every[status] = refusal(route.style, status, text, headers)
    return tuple(every[status] for status in sorted(every))


def refusal(style: Style, status: int, text: str, headers: Mapping[str, str] | None = None) -> Answered:
    """Return the declaration of a refusal in a style."""
    schema: Any = ProblemDetails if style is Style.PROBLEM else _OUTCOME
    return Answered(status=status, text=text, types=(REFUSAL_TYPES[style],), schema=schema, headers=headers or {})


def _implied(route: Route) -> Iterable[tuple[int, str, Mapping[str, str]]]:
    yield 400, "The request cannot be read.", {}
    yield 408, "The request did not come whole in time.", {}
    yield 431, "The headers are too large.", {}
    yield 501, "A transfer coding that is not taken.", {}
    yield 500, "An error of the gateway, by its reference alone.", {}
    yield 503, "A circumstance: send it again.", _RETRY
    if route.access in {Access.SOURCE, Access.CONNECTION}:
        yield 401, "It does not show who asks.", _CHALLENGE
        yield 403, "Whoever asks may not.", {}
    if route.access is Access.MONITOR:
        yield 403, "Not a monitor.", {}
    if route.consumes:
        yield 413, "The body is too large.", {}
        yield 415, "The body's media type or coding is not taken.", {}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": {str(answered.status): _response(answered) for answered in answers(route)},
    }
    parameters = [*route.parameters]
    if route.access is Access.SOURCE:
        parameters.append(Parameter(name=SOURCE_HEADER, where="header", text="Which of the connection's sources asks."))
    if parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in parameters]
    if route.access in {Access.SOURCE, Access.CONNECTION}:
        operation["security"] = [{"token": []}, {"certificate": []}, {}]
    if route.consumes:
        operation["requestBody"] = {"required": True, "content": {kind: _body(route) for kind in route.consumes}}
    return operation


def _response(answered: Answered) -> dict[str, Any]:
    found: dict[str, Any] = {"description": f"{HTTPStatus(answered.status).phrase}. {answered.text}"}
    headers = {**_REQUEST_ID, **answered.headers}
    found["headers"] = {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    if answered.types:
        schema = _schema(answered.schema)
        found["content"] = {kind: {"schema": schema} if schema is not None else {} for kind in answered.types}
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.pattern is not None:
        schema["pattern"] = parameter.pattern
    required = parameter.required or parameter.where == "path"
    return {"name": parameter.name, "in": parameter.where, "required": required, "description": parameter.text, "schema": schema}


def _body(route: Route) -> dict[str, Any]:
    body: dict[str, Any] = {}
    schema = _schema(route.body_schema)
    if schema is not None:
        body["schema"] = schema
    if route.body_example is not None:
        body["example"] = route.body_example
    return body


def _schema(kind: Any) -> Any:
    if isinstance(kind, type):
        return msgspec.json.schema_components([kind], ref_template=_REF)[0][0]
    return kind


def statuses(routes: Sequence[Route]) -> dict[str, tuple[int, ...]]:
    """Return the statuses that each route declares, by its name."""
    return {route.name: tuple(answered.status for answered in answers(route)) for route in routes}


#: How a path of the table is written in a pattern.
TEMPLATE: Final = re.compile(r"\{(\w+)\}")
