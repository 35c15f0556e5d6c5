"""FHIR requests for tests: the samples, changed at one place, and read as the sample configuration says."""

import base64
import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.mappers.common.reading import Read
from gateway.mappers.fhir import provide, simplified
from gateway.mappers.fhir.json import load
from gateway.model.outcome import Rejection
from gateway.model.source import Directory, Grant, Source
from gateway.model.submission import Submission
from tests.strategies.messages import DIRECTORY, SAMPLES

TD2, TWO, REPLACEMENT, MASKED, SIMPLE = (
    "01-iti65-radiology",
    "02-iti65-two-documents",
    "03-iti65-replacement",
    "04-iti65-masked",
    "05-iti105-simple",
)
PORTAL = next(source for source in DIRECTORY.sources if source.id == "portail-valmont")

Change = Callable[[dict[str, Any]], object]


class Body:
    """A sample as a tree, changed in place."""

    def __init__(self, sample: str) -> None:
        self.tree: dict[str, Any] = json.loads((SAMPLES / "fhir" / f"{sample}.json").read_bytes())

    @property
    def resources(self) -> list[dict[str, Any]]:
        if "entry" not in self.tree:
            return [self.tree]
        return [entry["resource"] for entry in self.tree["entry"]]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.resources if each["resourceType"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        return self.all(kind)[0]

    def entry(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.tree["entry"] if each["resource"]["resourceType"] == kind)
        return found

    @property
    def patients(self) -> list[dict[str, Any]]:
        return [each for one in self.resources for each in one.get("contained", ()) if each["resourceType"] == "Patient"]

    def status(self, system: str, code: str | None) -> "Body":
        """Write the status of the identity into every Patient, or take it out."""
        for patient in self.patients:
            patient["extension"] = [each for each in patient["extension"] if "reliability" not in each["url"]]
            if code is not None:
                coding = {"system": f"https://hl7.fr/ig/fhir/core/CodeSystem/{system}", "code": code}
                patient["extension"].append(
                    {
                        "url": "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-identity-reliability",
                        "extension": [{"url": "identityStatus", "valueCoding": coding}],
                    }
                )
        return self

    def cda(self, old: str, new: str) -> "Body":
        """Replace a text in the first document, its hash and size with it."""
        holder = self.one("Binary") if "entry" in self.tree else self.attachment
        content = base64.b64decode(holder["data"]).decode("utf-8")
        assert old in content, old
        written = content.replace(old, new).encode("utf-8")
        holder["data"] = base64.b64encode(written).decode()
        if "size" in self.attachment:
            self.attachment["size"] = len(written)
            self.attachment["hash"] = base64.b64encode(hashlib.sha1(written, usedforsecurity=False).digest()).decode()
        return self

    @property
    def attachment(self) -> dict[str, Any]:
        found: dict[str, Any] = self.one("DocumentReference")["content"][0]["attachment"]
        return found

    def change(self, change: Change) -> "Body":
        change(self.tree)
        return self

    def copy(self) -> "Body":
        found = copy.copy(self)
        found.tree = copy.deepcopy(self.tree)
        return found

    @property
    def payload(self) -> bytes:
        return json.dumps(self.tree).encode()


def read(
    body: Body | bytes,
    *,
    grants: frozenset[Grant] | None = None,
    environment: str = "test",
    source: Source = PORTAL,
    directory: Directory = DIRECTORY,
) -> Read:
    """Read a body by the transaction of its type."""
    payload = body if isinstance(body, bytes) else body.payload
    if grants is not None:
        source = msgspec.structs.replace(source, grants=grants)
    loaded = load(payload)
    reader = simplified if loaded.tree.get("resourceType") == "DocumentReference" else provide
    return reader.read(loaded, source, directory, environment)


def codes(found: Read) -> list[tuple[str, str, str]]:
    """Code, ERR-4 and outermost path of every problem."""
    return [(p.code, p.severity.err4, p.place.outermost.path if p.place else "") for p in found.problems]


def errors(found: Read) -> list[tuple[str, str]]:
    """Code and outermost path of every error."""
    return [(code, path) for code, severity, path in codes(found) if severity == "E"]


def submission(body: Body | bytes, **how: Any) -> Submission:
    found = read(body, **how)
    assert isinstance(found.content, Submission), codes(found)
    return found.content


def rejection(body: Body | bytes, **how: Any) -> Rejection:
    found = read(body, **how)
    assert isinstance(found.content, Rejection)
    return found.content
