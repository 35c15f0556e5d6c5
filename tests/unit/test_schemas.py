"""The committed schemas are those of the model, and real output fits them."""

from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from gateway.cli.schemas import SCHEMAS, main, schema
from gateway.model.outcome import DocumentOutcome, Outcome
from gateway.model.place import Place
from gateway.model.problem import Problem
from gateway.model.verdict import Verdict


def test_every_schema_is_committed_as_generated(root: Path, tmp_path: Path) -> None:
    main(tmp_path)
    generated = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in (root / "schemas").glob("*.json")}
    assert generated == committed, "run `make schemas` and commit schemas/"


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_one(name: str) -> None:
    jsonschema_rs.meta.validate(msgspec.json.decode(schema(name)))


def test_a_real_outcome_fits_and_a_wrong_one_does_not() -> None:
    validator = jsonschema_rs.validator_for(msgspec.json.decode(schema("outcome")))
    problem = Problem(code="OPPOSED", place=Place(path="PID[1]-3", start=3, end=9))
    outcome = Outcome(
        verdict=Verdict.REFUSED,
        receipt="r",
        problems=(problem,),
        documents=(DocumentOutcome(unique_id="1.2", verdict=Verdict.REFUSED),),
    )
    built = msgspec.to_builtins(outcome)
    assert validator.is_valid(built)
    assert not validator.is_valid({**built, "verdict": "lost"})
    assert not validator.is_valid({**built, "content": "x"})
