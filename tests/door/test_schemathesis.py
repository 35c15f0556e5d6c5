"""What a client that reads /openapi.json alone may send, the door answers as it declares: no 5xx, no undeclared answer (S4)."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.harness.day import PATIENTS, opened
from tests.harness.described import walk
from tests.harness.door import Door

pytestmark = [pytest.mark.door]

#: For each route: a slice; `make proof ONLY=S4` asks for the rest.
EXAMPLES = 25


def test_every_route_answers_as_it_declares(portal: Door) -> None:
    for patient in PATIENTS:
        opened(portal, patient)
    found = walk(portal.process.http_port, chance=20260303, examples=EXAMPLES)
    assert not found.failures, "\n".join(found.failures)
    walked = {name for name, _ in found.answers}
    assert {"POST /cda", "POST /hl7v2", "POST /fhir", "POST /fhir/Consent", "GET /healthz", "GET /deposits/{id}"} <= walked
    # It got beyond the first checks: something was taken, something refused for what it says.
    assert {200, 201, 400, 422} <= set(found.statuses)


class Wrong(BaseHTTPRequestHandler):
    """A server that says one thing of itself and does another."""

    def do_GET(self) -> None:
        described = {
            "openapi": "3.1.0",
            "info": {"title": "wrong", "version": "1"},
            "paths": {path: {"get": {"responses": {"200": {"description": "OK", **CONTENT}}}} for path in ANSWERS},
        }
        status, body = ANSWERS.get(self.path, (200, json.dumps(described)))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


CONTENT = {"content": {"application/json": {"schema": {"type": "object", "required": ["state"]}}}}
ANSWERS = {"/right": (200, '{"state": 1}'), "/fault": (500, "{}"), "/undeclared": (404, "{}"), "/unfit": (200, "{}")}


def test_what_is_not_as_declared_is_found() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = walk(server.server_address[1], chance=1, examples=2)
        server.shutdown()
    assert {failure.split(":")[0] for failure in found.failures} == {"GET /fault", "GET /undeclared", "GET /unfit"}
