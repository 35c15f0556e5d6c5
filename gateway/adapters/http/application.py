"""The WSGI application: the table of routes, served by Flask; every refusal, of Flask's own too, is written in one place."""

import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import HTTPException

from gateway.adapters.http import body, problems
from gateway.adapters.http.call import Call, MediaType, Refused, Reply
from gateway.adapters.http.caller import Trust
from gateway.adapters.http.registry import Registry, Renderer, Route, Style, Unruled
from gateway.model.problem import Problem
from gateway.model.source import Peer
from gateway.telemetry import events as told

#: Where the server puts who is at the other end of the connection: no header can.
PEER: Final = "gateway.peer"
REQUEST_ID: Final = "X-Request-Id"
#: What may be echoed and logged of a request's own id.
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._~:+/=-]{1,128}", re.ASCII)
_ALWAYS: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
#: werkzeug's own refusals, as problems of ours; any other is a request that cannot be read.
_CODES: Final = {404: "HTTP_PATH_UNKNOWN", 405: "HTTP_METHOD_UNSUPPORTED", 413: "TOO_LARGE", 415: "HTTP_TYPE_UNSUPPORTED"}

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _NoForms(Request):
    """Nothing reads a form: a parser of forms would write files."""

    def _load_form_data(self) -> None:
        raise LookupError("bodies are read by gateway.adapters.http.body")


class _Flask(Flask):
    request_class = _NoForms


class Application:
    """
    The table of routes as a WSGI application.

    Args:
        registry: The table.
        trust: Who may ask.
        body_limit: The longest body.
        door: Way in, for lines and counters.
        renderers: How refusals are written, beside problem+json.
    """

    def __init__(
        self,
        registry: Registry,
        trust: Trust,
        *,
        body_limit: int,
        door: str = "http",
        renderers: Mapping[Style, Renderer] | None = None,
    ) -> None:
        """
        Build the application.

        Raises:
            Unruled: Flask knows a rule that is not in the table, or the other way round.
        """
        self._registry = registry
        self._trust = trust
        self._limit = body_limit
        self._door = door
        self._renderers: dict[Style, Renderer] = {Style.PROBLEM: problems.render, **(renderers or {})}
        self.flask = _Flask("dmp-gateway", static_folder=None, template_folder=None)
        #: `//fhir` is no other spelling of `/fhir`.
        self.flask.url_map.merge_slashes = False
        self._routes: dict[str, Route] = {}
        for method, path, name, route in registry.rules():
            endpoint = name.replace(".", "_")
            self._routes[endpoint] = route
            self.flask.add_url_rule(
                _PLACEHOLDER.sub(r"<\1>", path),
                endpoint=endpoint,
                view_func=self._view(route),
                methods=[method],
                provide_automatic_options=False,
                strict_slashes=True,
            )
        self.flask.before_request(self._begin)
        self.flask.register_error_handler(Refused, self._refused)
        self.flask.register_error_handler(HTTPException, self._foreign)
        self.flask.register_error_handler(Exception, self._failed)
        check(self.flask, registry)
        self._urls = self.flask.url_map.bind("gateway")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        answer: Iterable[bytes] = self.flask.wsgi_app(environ, start_response)
        return answer

    def precheck(self, method: str, path: str, headers: Mapping[str, str], peer: Peer) -> Refused | None:
        """
        Return why a request would be refused whatever its body is, or None: asked before the body is read.

        Args:
            method: Of the request.
            path: Decoded.
            headers: By lower-case name.
            peer: Who is at the other end.
        """
        if not _is_plain(path):
            return Refused(Problem(code="HTTP_PATH_UNKNOWN"))
        try:
            endpoint, _ = self._urls.match(path, method)
        except HTTPException as error:
            return _of_framework(error)
        route = self._routes[endpoint]
        try:
            self._trust.caller(route, peer, headers)
            _check_type(route, body.media_type(headers.get("content-type")))
        except Refused as refused:
            return refused
        return None

    def refused_early(self, refused: Refused, path: str, headers: Mapping[str, str]) -> Reply:
        """Write and tell what the server refuses by itself: a request that cannot be read, or not in time."""
        request_id = _request_id(headers.get(REQUEST_ID.lower(), ""))
        reply = self.refusal(refused, path, request_id)
        code = problems.deciding(refused).code
        told.RequestRefused(door=self._door, request=request_id, source="unknown", code=code).emit()
        told.RequestAnswered(
            door=self._door, request=request_id, route="none", source="unknown", status=reply.status, seconds=0.0
        ).emit()
        # Some writers of refusals name the request themselves.
        named = {name for name, _ in reply.headers}
        added = (header for header in (*_ALWAYS, (REQUEST_ID, request_id)) if header[0] not in named)
        return msgspec.structs.replace(reply, headers=(*reply.headers, *added))

    def refusal(self, refused: Refused, path: str, request_id: str) -> Reply:
        """Return a refusal in the style of a path: for what the server itself refuses, too."""
        style = self._registry.style_of(path)
        return self._renderers.get(style, problems.render)(refused, request_id)

    def _begin(self) -> None:
        g.request_id = _request_id(request.headers.get(REQUEST_ID, ""))
        g.begun = time.monotonic()
        g.route = ""
        g.source = "unknown"
        environ = request.environ
        if not _is_plain(environ.get("PATH_INFO", ""), environ.get("REQUEST_URI", "")):
            raise Refused(Problem(code="HTTP_PATH_UNKNOWN"))

    def _view(self, route: Route) -> Callable[..., Response]:
        def view(**variables: str) -> Response:
            g.route = route.name
            return self._written(self._answer(route, variables))

        return view

    def _answer(self, route: Route, variables: Mapping[str, str]) -> Reply:
        environ = request.environ
        peer = environ[PEER]
        if not isinstance(peer, Peer):
            raise TypeError("the server did not say who is at the other end")
        headers = {name.lower(): value for name, value in request.headers.items()}
        # Who asks comes first: nothing is read of a stranger's body.
        caller = self._trust.caller(route, peer, headers)
        if caller.source is not None:
            g.source = caller.source.id
        kind = body.media_type(request.headers.get("Content-Type"))
        _check_type(route, kind)
        payload = body.read(environ, self._limit) if route.consumes else b""
        return route.handler(
            Call(
                request_id=g.request_id,
                method=request.method,
                path=route.path,
                variables=variables,
                query=tuple(request.args.items(multi=True)),
                headers=headers,
                media_type=kind,
                body=payload,
                caller=caller,
            )
        )

    def _written(self, reply: Reply) -> Response:
        response = Response(reply.body, status=reply.status)
        del response.headers["Content-Type"]
        if reply.content_type:
            response.headers["Content-Type"] = reply.content_type
        for name, value in (*reply.headers, *_ALWAYS, (REQUEST_ID, g.request_id)):
            response.headers.setdefault(name, value)
        told.RequestAnswered(
            door=self._door,
            request=g.request_id,
            route=g.route or "none",
            source=g.source,
            status=reply.status,
            seconds=time.monotonic() - g.begun,
        ).emit()
        return response

    def _refused(self, refused: Refused) -> Response:
        if not refused.receipt:  # else it was told as a message
            code = problems.deciding(refused).code
            told.RequestRefused(door=self._door, request=g.request_id, source=g.source, code=code).emit()
        return self._written(self.refusal(refused, request.path, g.request_id))

    def _foreign(self, error: HTTPException) -> Response:
        return self._refused(_of_framework(error))

    def _failed(self, error: Exception) -> Response:
        happened = told.InternalError.of(error, door=self._door, source=g.source)
        happened.emit()
        return self._refused(Refused(Problem(code="INTERNAL"), reference=happened.reference))


def _is_plain(path: str, written: str = "") -> bool:
    """Whether a path is written as it is: a framework takes leading slashes away, and a server `%2F` for a slash."""
    return not path.startswith("//") and "%2f" not in written.partition("?")[0].lower()


def _of_framework(error: HTTPException) -> Refused:
    """Return werkzeug's own refusal as one of ours."""
    code = _CODES.get(error.code or 0, "HTTP_REQUEST_INVALID")
    valid = getattr(error, "valid_methods", None)
    return Refused(Problem(code=code), headers=(("Allow", ", ".join(sorted(valid))),) if error.code == 405 and valid else ())


def _check_type(route: Route, kind: MediaType) -> None:
    if route.consumes and kind.name not in route.consumes:
        accepted = (("Accept-Post", ", ".join(route.consumes)),) if route.method == "POST" else ()
        raise Refused(Problem(code="HTTP_TYPE_UNSUPPORTED", detail="Content-Type"), headers=accepted)


def _request_id(given: str) -> str:
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def check(flask: Flask, registry: Registry) -> None:
    """
    Check that Flask serves the table and nothing else.

    Raises:
        Unruled: a path is served that is not in the table, or a row is not served.
    """
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in flask.url_map.iter_rules()
        for method in set(rule.methods or ()) - {"HEAD"}
    }
    table = {(method, path) for method, path, _, _ in registry.rules()}
    if served != table:
        raise Unruled(f"served and in the table are not the same: {sorted(served ^ table)}")


def routes_of(*groups: Sequence[Route]) -> Registry:
    """Return the table made of the routes of several modules."""
    return Registry([route for group in groups for route in group])
