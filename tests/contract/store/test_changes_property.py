"""Whatever was said before: what was refused before an A47 is refused after it (D-1)."""

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.event import IdentifierChange, PatientEvent, Position, RecordEvent
from gateway.model.patient import PatientId, Traits
from gateway.model.verdict import Verdict
from tests.contract.store.backends import BACKENDS, SCRATCH, Bench
from tests.strategies import records
from tests.strategies.identities import changed, identity
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, ins, local

INS = (ALICE, BORIS, CARLA, ins("2750163012399"))
#: As `records.record_events` gives them out: 1n and 2n are those of the n-th patient; one that nobody has.
NUMBERS = (local(H1, "10"), local(H1, "11"), local(H1, "12"), local(H1, "19"))
EXAMPLES = {"sqlite": 40, "postgres": 4}


@st.composite
def histories(draw: st.DrawFn) -> list[RecordEvent]:
    """Each number is linked to its INS; to some of them an opposition was told; and anything else, save allowances."""
    linked = [
        records.adt(*draw(st.lists(records.statements(), max_size=2)), patient=pair)
        for pair in zip(INS, NUMBERS, strict=True)
        if draw(st.integers(0, 4))
    ]
    # Where two series of one side meet, the later word counts (D-3): an allowance may lift what was said under another number.
    return [opposing(event) for event in (*linked, *draw(st.lists(records.record_events(), max_size=4)))]


def opposing(event: RecordEvent) -> RecordEvent:
    """An event without what it allows."""
    if not isinstance(event, PatientEvent):
        return event
    stated = tuple(statement for statement in event.statements if statement.position is Position.OPPOSES)
    return msgspec.structs.replace(event, statements=stated)


@st.composite
def changes(draw: st.DrawFn) -> IdentifierChange:
    """An A47 without traits: nothing tells two persons apart."""
    number = draw(st.sampled_from(NUMBERS))
    if draw(st.booleans()):
        new, old = draw(st.permutations(INS))[:2]
        return changed(identity(*draw(st.sampled_from(((new, number), (new,)))), traits=Traits()), old)
    new_number = draw(st.sampled_from(NUMBERS))
    former = number if number != new_number else draw(st.sampled_from(INS))
    named = (new_number, draw(st.sampled_from(INS))) if former != number and draw(st.booleans()) else (new_number,)
    withdrawn = former.is_ins and len(named) == 1
    return changed(identity(*named, traits=Traits(), status=("VALI",)), former, withdrawn=withdrawn)


def probes(change: IdentifierChange) -> list[tuple[PatientId, ...]]:
    """Whose documents are tried: under each INS, and with each number unless it was parted from its INS."""
    return [(known,) for known in INS] + ([] if change.withdrawn else [(known, number) for known in INS for number in NUMBERS])


def tried(bench: Bench, change: IdentifierChange) -> dict[tuple[tuple[PatientId, ...], str], str]:
    """What becomes of a new document under each of the probes, from each establishment."""
    sent = [(who, establishment) for who in probes(change) for establishment in (H1, H2)]
    made = []
    for who, establishment in sent:
        unique_id = f"9.{bench.receipt()}"
        made.append(bench.deposit(patient=who, establishments=(establishment,), documents=((unique_id, b"x"),)))
    outcomes = bench.apply(*made)
    return {each: outcome.codes[0] if outcome.codes else "" for each, outcome in zip(sent, outcomes, strict=True)}


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_opposition_is_lost(backend: str) -> None:
    met: set[str] = set()

    @settings(max_examples=EXAMPLES[backend], suppress_health_check=list(HealthCheck), deadline=None)
    @given(history=histories(), change=changes())
    def holds(history: list[RecordEvent], change: IdentifierChange) -> None:
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            bench = BACKENDS[backend](Path(folder), lasting=True)
            try:
                for known in INS:
                    bench.open(known)
                for event in history:
                    bench.event(event)
                before = tried(bench, change)
                assert bench.event(change).verdict is Verdict.APPLIED
                after = tried(bench, change)
                lost = {each: after[each] for each, code in before.items() if code == "OPPOSED" and not after[each]}
                assert lost == {}
                met.update(f"{before[each]}→{code}" for each, code in after.items())
                open_links = {(row["authority"], row["value"], row["patient"]) for row in bench.rows("link", to_at=None)}
                assert open_links == {(row["authority"], row["value"], row["patient"]) for row in bench.tables()["identifier"]}
                assert bench.against() == []
            finally:
                bench.close()

    holds()
    if backend == "sqlite":
        assert {"OPPOSED→OPPOSED", "→OPPOSED", "→INS_UNQUALIFIED", "→"} <= met, "the histories say nothing"
