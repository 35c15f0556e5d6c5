"""What a client that reads /openapi.json alone may send, the door answers as it declares: no 5xx, no undeclared answer (S4)."""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.harness.door import Door

pytestmark = [pytest.mark.door]

EXAMPLES = 12
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def test_every_route_answers_as_it_declares(tmp_path: Path) -> None:
    with Door(tmp_path) as door:
        base = f"http://127.0.0.1:{door.process.http_port}"
        schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
        walked = set()
        for found in schema.get_all_operations():
            operation = found.ok()
            walked.add(f"{operation.method.upper()} {operation.path}")

            @settings(
                max_examples=EXAMPLES,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy())
            def ask(case: schemathesis.Case) -> None:
                case.call_and_validate(headers={"X-DMP-Source": "sil-valmont"}, checks=CHECKS)

            ask()
        assert {"POST /cda", "POST /hl7v2", "POST /fhir", "GET /healthz", "GET /deposits/{id}"} <= walked
