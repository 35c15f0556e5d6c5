"""docs/cda.md says what the door does: every fact, flag and media type, examples that are read."""

import json
import re
from pathlib import Path

import pytest

from gateway.adapters.http.cda import BASE64, MESSAGE_ID, MULTIPART, XML_TYPES, CdaRoutes
from gateway.adapters.http.engine import Engine
from gateway.mappers.cda.declared import FACTS, FLAGS, FLAGS_HEADER, read
from gateway.mappers.common.findings import Findings
from gateway.model.problems import CODES
from gateway.model.source import Directory


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "cda.md").read_text(encoding="utf-8")


def test_every_fact_has_its_row_as_the_table_says(page: str) -> None:
    for fact in FACTS:
        header = f"`{fact.header}`" if fact.header else ""
        assert f"| {header} | `{'.'.join(fact.keys)}` | {fact.means} | `{fact.example}` |" in page


def test_every_flag_header_and_media_type_is_named(page: str) -> None:
    for name in (*FLAGS, FLAGS_HEADER, MESSAGE_ID, *XML_TYPES, BASE64, MULTIPART):
        assert f"`{name}`" in page


def test_every_status_that_the_route_declares_is_told(page: str, engine: Engine, directory: Directory) -> None:
    (route,) = CdaRoutes(engine, directory).routes()
    told = {int(status) for row in re.findall(r"(?m)^\| ([0-9, ]+) \|", page) for status in row.split(",")}
    assert {answered.status for answered in route.answers} <= told


def test_the_examples_are_read(page: str) -> None:
    blocks = [json.loads(text) for text in re.findall(r"(?ms)^    (\{.*?\})$(?!\n     )", page)]
    (declared,) = [block for block in blocks if "act" in block and "receipt" not in block]
    findings = Findings()
    read({}, json.dumps(declared).encode(), findings)
    assert findings.errors == ()
    (refusal,) = [block for block in blocks if "code" in block]
    code = CODES[refusal["code"]]
    assert (refusal["status"], refusal["detail"]) == (code.http, code.text)
    assert len(blocks) == 3
