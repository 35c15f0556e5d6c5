"""
The HTTP door by its own description: requests that /openapi.json allows, and samples, whole or wounded, in their bodies (S4).

Each answer must be none of the server's own faults (5xx), of a status and a type that the route declares, and fit its schema.
"""

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.wounds import wounded
from tests.harness.portal import bearer

_SAMPLES: Final = Path(__file__).resolve().parents[2] / "samples"
_CHECKS: Final = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
#: What a route is sent in the place of a body made up of its description: media type and samples.
_BODIES: Final = {
    "/hl7v2": ("application/hl7-v2", ("oru/*.er7",)),
    "/cda": ("text/xml", ("cda/*.xml",)),
    "/fhir": ("application/fhir+json", ("fhir/*iti65*.json",)),
    "/fhir/DocumentReference": ("application/fhir+json", ("fhir/*iti105*.json",)),
    "/fhir/Bundle": ("application/fhir+json", ("fhir/*bundle*.json",)),
    "/fhir/Consent": ("application/fhir+json", ("fhir/*consent*.json",)),
}
#: Shares: of samples among the bodies, of whole ones among them, of known ids among those asked for.
_SAMPLED: Final = 0.6
_WHOLE: Final = 0.5
_KNOWN: Final = 0.5
#: How often a header or a parameter is left out.
_REFUSING: Final = {"X-DMP-Source": 0.9, "If-None-Exist": 0.7, "Accept": 0.7, "_format": 0.7, "DMP-Act": 0.5, "DMP-Flags": 0.5}


@dataclass
class Walked:
    """What was asked, and answered."""

    requests: int = 0
    #: By method, path and status.
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: Each names the request.
    failures: list[str] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        """How many answers of each status."""
        found: Counter[int] = Counter()
        for (_, status), count in self.answers.items():
            found[status] += count
        return found


def walk(port: int, *, chance: int, examples: int, until: float = float("inf")) -> Walked:
    """
    Ask every route, as sources that have a token.

    Args:
        port: Of the HTTP door of a gateway of `tests.harness.portal`.
        chance: Decides every request.
        examples: How many for each route, at most.
        until: `time.monotonic` at which to stop.
    """
    walker = _Walker(until)
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
    for each in schema.get_all_operations():
        operation = each.ok()
        walker.route(f"{operation.method.upper()} {operation.path}", operation.as_strategy(), chance, examples)
    return walker.found


class _Walker:
    """Asks, and notes."""

    def __init__(self, until: float) -> None:
        self.found = Walked()
        self._until = until
        self._bodies = {path: _samples(patterns) for path, (_, patterns) in _BODIES.items()}
        #: Of deposits that were taken, to be asked for.
        self._receipts: list[str] = []

    def route(self, name: str, cases: st.SearchStrategy[schemathesis.Case], chance: int, examples: int) -> None:
        """Ask one route so many times."""

        def ask(case: schemathesis.Case, number: int) -> None:
            if time.monotonic() < self._until:
                self._ask(name, case, random.Random(number))

        bounded = settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        try:
            seed(chance)(bounded(given(case=cases, number=st.integers(0, 1 << 31))(ask)))()
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - whatever it is, the other routes are asked as well
            self.found.failures.append(f"{name}: {type(error).__name__}: {error}"[:2000])

    def _ask(self, name: str, case: schemathesis.Case, chance: random.Random) -> None:
        headers, sent = bearer("sil" if case.path == "/hl7v2" else "portail"), {}
        # Made up, they refuse nearly everything before its body is read.
        for name_of, share in _REFUSING.items():
            if chance.random() < share:
                case.headers.pop(name_of, None)
                case.query.pop(name_of, None)
        bodies = self._bodies.get(case.path)
        if bodies and chance.random() < _SAMPLED:
            body = chance.choice(bodies)
            sent = {"data": body if chance.random() < _WHOLE else wounded(body, chance, bodies)}
            headers["Content-Type"] = _BODIES[case.path][0]
            case.body = NOT_SET
        if "id" in case.path_parameters and self._receipts and chance.random() < _KNOWN:
            case.path_parameters["id"] = chance.choice(self._receipts)
        answer = case.call(headers=headers, **sent)
        self.found.requests += 1
        self.found.answers[name, answer.status_code] += 1
        location = answer.headers.get("location", [""])[0]
        if location.startswith("/deposits/"):
            self._receipts.append(location.split("/")[2])
        case.validate_response(answer, checks=_CHECKS)


def _samples(patterns: tuple[str, ...]) -> list[bytes]:
    return [file.read_bytes() for pattern in patterns for file in sorted(_SAMPLES.glob(pattern))]
