from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.code import Code
from gateway.model.document import Document, DocumentEntry, Organisation
from gateway.model.event import Position, Right, Scope, Side, Statement
from gateway.model.patient import PatientIdentity, Traits
from gateway.model.problems import CODES
from gateway.model.submission import Act, Flags, Reception, Submission
from gateway.model.verdict import Verdict
from gateway.model.when import When
from gateway.rules import record
from gateway.rules.deposit import Facts, Rows, Touched, apply, decide, facts, touched
from gateway.rules.identity import Reference
from gateway.rules.opposition import Held
from gateway.rules.record import RecordState
from gateway.rules.versions import Arrival, Known, Life, State

NOW = datetime(2026, 3, 25, 12, tzinfo=UTC)


def opposition(scope=Scope.ALL, value=None) -> Held:
    statement = Statement(
        right=Right.FEEDING, position=Position.OPPOSES, side=Side.PATIENT, collected_by="desk", scope=scope, scope_value=value
    )
    return Held(id="statement-1", statement=statement, received_at=NOW, committed_at=NOW, sequence=1)


def known(name, **more) -> Known:
    return Known(**({"unique_id": name, "owner": "H1", "state": Life.CURRENT, "digest": name, "receipt": f"first-{name}"} | more))


def submission(act, *names, receipt="R1", **more) -> Facts:
    documents = tuple(
        Arrival(act=act, unique_id=name, owner="H1", digest=name, type_code="11502-2", class_code="11", receipt=receipt, **more)
        for name in names
    )
    return Facts(act=act, establishments=("H1",), documents=documents)


def with_types(sent, *types) -> Facts:
    documents = tuple(msgspec.structs.replace(a, type_code=t) for a, t in zip(sent.documents, types, strict=True))
    return msgspec.structs.replace(sent, documents=documents)


OPEN = Rows(record=RecordState.OPEN)
HOSTILE = Rows(record=RecordState.CLOSED, statements=((opposition(),),), documents=State(known=(known("A"),)))


@pytest.mark.parametrize(
    ("rows", "sent", "code", "rule"),
    [
        # The order of § 2.3: each line has everything wrong that the lines after it have.
        (HOSTILE, submission(Act.ADD, "A", visibility=(True, False, False)), "OTHER_CONTENT", "D-6"),
        (
            msgspec.structs.replace(HOSTILE, record=RecordState.ABSENT),
            submission(Act.REPLACE, "B", replaces=("A",)),
            "RECORD_ABSENT",
            "R-01",
        ),
        (HOSTILE, submission(Act.REPLACE, "B", replaces=("A",)), "RECORD_CLOSED", "R-08"),
        (
            Rows(record=RecordState.OPEN, statements=((opposition(),),), documents=State(known=(known("A", owner="H2"),))),
            submission(Act.REPLACE, "B", replaces=("A",)),
            "OPPOSED",
            "O-2",
        ),
        (
            Rows(record=RecordState.OPEN, statements=((opposition(),),), documents=State(known=(known("A", owner="H2"),))),
            submission(Act.ADD, "A"),
            "OPPOSED",
            "O-2",
        ),
        (
            Rows(record=RecordState.OPEN, documents=State(known=(known("A", owner="H2"),))),
            submission(Act.ADD, "A"),
            "NOT_AUTHOR",
            "D-4",
        ),
        (
            Rows(record=RecordState.OPEN, documents=State(known=(known("A", owner="H2", replaced_by="X"),))),
            submission(Act.REPLACE, "B", replaces=("A",)),
            "NOT_AUTHOR",
            "D-4",
        ),
        (
            Rows(record=RecordState.OPEN, documents=State(known=(known("A", replaced_by="X"),))),
            submission(Act.REPLACE, "B", replaces=("A",)),
            "VERSION_STALE",
            "D-5",
        ),
    ],
)
def test_the_first_test_that_fails_speaks(rows, sent, code, rule):
    decision = decide(sent, rows, NOW)
    assert decision.decision.verdict is Verdict.REFUSED
    assert (decision.decision.problem, decision.decision.rule) == (code, rule)
    assert code in CODES
    assert decision.writes.insert == decision.writes.update == decision.writes.leave == ()
    assert decision.decision.statement == ("statement-1" if code == "OPPOSED" else None)
    assert apply(rows, decision) == rows


def test_a_duplicate_comes_before_everything_even_on_a_closed_record():
    decision = decide(submission(Act.ADD, "A"), HOSTILE, NOW)
    assert decision.decision.verdict is Verdict.DUPLICATE
    assert decision.first == "first-A"
    assert apply(HOSTILE, decision) == HOSTILE


def test_a_deletion_by_the_owner_passes_on_a_closed_and_opposed_record():
    decision = decide(submission(Act.DELETE, "A"), HOSTILE, NOW)
    assert decision.decision.verdict is Verdict.DELETED
    assert decision.writes.update == (known("A", state=Life.DELETED, deletion="R1"),)


@pytest.mark.parametrize(
    ("state", "act", "code"),
    [
        (RecordState.ABSENT, Act.ADD, "RECORD_ABSENT"),
        (RecordState.ABSENT, Act.REPLACE, "RECORD_ABSENT"),
        (RecordState.ABSENT, Act.DELETE, "RECORD_ABSENT"),
        (RecordState.OPEN, Act.ADD, None),
        (RecordState.OPEN, Act.REPLACE, None),
        (RecordState.OPEN, Act.DELETE, None),
        (RecordState.CLOSED, Act.ADD, "RECORD_CLOSED"),
        (RecordState.CLOSED, Act.REPLACE, "RECORD_CLOSED"),
        (RecordState.CLOSED, Act.DELETE, None),
    ],
)
def test_what_a_record_takes(state, act, code):
    decision = record.decide(state, act)
    assert (decision.problem if decision else None) == code
    assert decision is None or (decision.refuses and code in CODES)


def test_one_refusal_refuses_all_and_says_which():
    rows = Rows(
        record=RecordState.OPEN,
        statements=((opposition(Scope.TYPE, "51969-4"),),),
        documents=State(known=(known("A"),)),
    )
    sent = with_types(submission(Act.ADD, "A", "B", "C", "B"), "11502-2", "11502-2", "51969-4", "11502-2")
    decision = decide(sent, rows, NOW)
    assert decision.decision.problem == "OPPOSED"
    verdicts = [(each.decision.verdict, each.decision.problem) for each in decision.documents]
    # A is in the record already; the second B would only repeat a document that is not.
    assert verdicts == [
        (Verdict.DUPLICATE, None),
        (Verdict.REFUSED, None),
        (Verdict.REFUSED, "OPPOSED"),
        (Verdict.REFUSED, None),
    ]
    assert apply(rows, decision) == rows


def test_a_refused_document_warns_of_nothing():
    sent = submission(Act.REPLACE, "B", replaces=("A", "X"))
    rows = Rows(record=RecordState.OPEN, documents=State(known=(known("A", replaced_by="Z"),)))
    assert decide(sent, rows, NOW).documents[0].warnings == ()
    stored = decide(sent, Rows(record=RecordState.OPEN, documents=State(known=(known("A"),))), NOW)
    assert stored.documents[0].warnings == ("PARENT_UNKNOWN",)


def test_documents_of_a_submission_see_what_the_former_left():
    first = Arrival(act=Act.REPLACE, unique_id="B", owner="H1", replaces=("A",), digest="B", receipt="R1")
    second = Arrival(act=Act.REPLACE, unique_id="C", owner="H1", replaces=("B",), digest="C", receipt="R1")
    rows = Rows(record=RecordState.OPEN, documents=State(known=(known("A"),)))
    decision = decide(Facts(act=Act.REPLACE, establishments=("H1",), documents=(first, second)), rows, NOW)
    assert [(row.unique_id, row.state) for row in decision.writes.insert] == [("B", Life.REPLACED), ("C", Life.CURRENT)]
    assert [(row.unique_id, row.state, row.replaced_by) for row in decision.writes.update] == [("A", Life.REPLACED, "B")]
    assert decision.decision.verdict is Verdict.STORED
    forked = msgspec.structs.replace(second, replaces=("A",))
    refused = decide(Facts(act=Act.REPLACE, establishments=("H1",), documents=(first, forked)), rows, NOW)
    assert [each.decision.problem for each in refused.documents] == [None, "VERSION_STALE"]


@pytest.mark.parametrize(
    ("names", "verdict"),
    [(("A",), Verdict.DUPLICATE), (("A", "N"), Verdict.STORED), (("N", "A"), Verdict.STORED), (("N", "N"), Verdict.STORED)],
)
def test_the_strongest_verdict_speaks_for_the_submission(names, verdict):
    rows = Rows(record=RecordState.OPEN, documents=State(known=(known("A"),)))
    decision = decide(submission(Act.ADD, *names), rows, NOW)
    assert decision.decision.verdict is verdict
    assert decision.first == ("first-A" if verdict is Verdict.DUPLICATE else None)


def test_what_a_submission_touches():
    sent = submission(Act.REPLACE, "B", "C", replaces=("A",), set_id="S")
    assert touched(sent) == Touched(unique_ids=frozenset("ABC"), sets=frozenset({("H1", "S")}))
    assert touched(submission(Act.DELETE, "B")).sets == frozenset()


NAMES = st.sampled_from("ABCD")


@st.composite
def arrivals(draw, act):
    name = draw(NAMES)
    return Arrival(
        act=act,
        unique_id=name,
        owner=draw(st.sampled_from(("H1", "H1", "H2"))),
        set_id=draw(st.sampled_from((None, "S"))),
        version=draw(st.sampled_from((None, 1, 2, 3))),
        replaces=() if act is Act.DELETE else tuple(draw(st.lists(NAMES, max_size=2))),
        digest=draw(st.sampled_from((name, name, "other"))),
        receipt=f"R{draw(st.integers(0, 9))}",
    )


@st.composite
def submissions(draw):
    act = draw(st.sampled_from(Act))
    documents = draw(st.lists(arrivals(act), min_size=1, max_size=3))
    return Facts(act=act, establishments=("H1",), documents=tuple(documents))


@given(st.lists(submissions(), max_size=6))
def test_anything_at_all_is_decided_and_leaves_sound_rows(several):
    """Senders make mistakes: whatever comes, ids stay unique, refusals write nothing, and a retry changes nothing."""
    rows = OPEN
    for sent in several:
        decision = decide(sent, rows, NOW)
        after = apply(rows, decision)
        writes = (*decision.writes.insert, *decision.writes.update, *decision.writes.leave)
        assert bool(writes) == (decision.decision.verdict not in {Verdict.REFUSED, Verdict.DUPLICATE})
        names = [row.unique_id for row in after.documents.known]
        assert len(names) == len(set(names))
        marks = [(mark.unique_id, mark.owner, mark.kind) for mark in after.documents.marks]
        assert len(marks) == len(set(marks))
        assert [each.unique_id for each in decision.documents] == [each.unique_id for each in sent.documents]
        for each in decision.documents:
            assert each.decision.problem is None or each.decision.problem in CODES
            assert set(each.warnings) <= set(CODES)
        if not decision.decision.refuses:
            again = decide(sent, after, NOW)
            assert apply(after, again) == after
        rows = after


@given(st.lists(submissions(), max_size=4), submissions())
def test_only_what_is_touched_is_needed(several, last):
    """The store may leave out every row that `touched` does not name."""
    rows = OPEN
    for sent in several:
        rows = apply(rows, decide(sent, rows, NOW))
    wanted = touched(last)
    fewer = State(
        known=tuple(
            row
            for row in rows.documents.known
            if row.unique_id in wanted.unique_ids or (row.set_id is not None and (row.owner, row.set_id) in wanted.sets)
        ),
        marks=tuple(mark for mark in rows.documents.marks if mark.unique_id in wanted.unique_ids),
    )
    assert decide(last, msgspec.structs.replace(rows, documents=fewer), NOW) == decide(last, rows, NOW)


def test_the_facts_of_a_submission():
    entry = DocumentEntry(
        unique_id="1.2.3^A",
        set_id="S",
        version=2,
        type_code=Code(code="11502-2"),
        class_code=Code(code="11"),
        title="CR",
        language="fr-FR",
        creation_time=When.read("20260310"),
        confidentiality_codes=(),
        mime_type="text/xml",
        size=1,
        hash="sha-1",
        digest="sha-256",
        authors=(),
        custodian=Organisation(),
        replaces=("1.2.3^B",),
        level=1,
    )
    bare = msgspec.structs.replace(entry, unique_id="1.2.3^C", class_code=None, set_id=None)
    sent = Submission(
        act=Act.REPLACE,
        patient=PatientIdentity(traits=Traits(sex="F")),
        documents=(Document(entry=entry, patients=(), part=1), Document(entry=bare, patients=(), part=2)),
        flags=Flags(masque_ps=True, destdmp=True),
        establishments=("H1", "finess:010000001"),
    )
    reception = Reception(
        receipt="R1",
        received_at="2026-03-10T00:00:00Z",
        door="mllp",
        source="s",
        establishment="H1",
        application="LIS",
        facility="H1",
        message_id="1",
        message_type="ORU^R01",
        message_digest="d",
    )
    first = Arrival(
        act=Act.REPLACE,
        unique_id="1.2.3^A",
        owner="H1",
        set_id="S",
        version=2,
        replaces=("1.2.3^B",),
        digest="sha-256",
        visibility=(True, False, False),
        type_code="11502-2",
        class_code="11",
        receipt="R1",
    )
    second = msgspec.structs.replace(first, unique_id="1.2.3^C", set_id=None, class_code=None)
    assert facts(sent, reception) == Facts(
        act=Act.REPLACE, establishments=("H1", "finess:010000001"), identities=(Traits(sex="F"),), documents=(first, second)
    )


ALICE, BORIS = Traits(birth_name="ESSAI", sex="F"), Traits(birth_name="AUTRE", sex="M")
UNSURE = Traits(birth_name="ESSAI", sex="U")
HELD = Reference(version=1, traits=ALICE, source="operator")


@pytest.mark.parametrize(
    ("rows", "act", "identities", "verdict", "code"),
    [
        # Each line has everything wrong that the lines after it have.
        ({"record": RecordState.ABSENT, "suspended": True}, Act.ADD, (BORIS,), Verdict.REFUSED, "RECORD_ABSENT"),
        ({"record": RecordState.CLOSED, "suspended": True}, Act.ADD, (BORIS,), Verdict.REFUSED, "INS_UNQUALIFIED"),
        ({"record": RecordState.CLOSED}, Act.ADD, (BORIS,), Verdict.REFUSED, "TRAITS_DIFFER"),
        ({"record": RecordState.CLOSED}, Act.ADD, (ALICE, UNSURE), Verdict.REFUSED, "RECORD_CLOSED"),
        ({}, Act.ADD, (ALICE, UNSURE), Verdict.REFUSED, "OPPOSED"),
        # A deletion is not asked.
        ({"suspended": True}, Act.DELETE, (BORIS,), Verdict.DELETED, None),
        # Nothing to compare with, nothing to compare, nothing that differs.
        ({"reference": None, "statements": ()}, Act.ADD, (BORIS,), Verdict.STORED, None),
        ({"statements": ()}, Act.ADD, (), Verdict.STORED, None),
        ({"statements": ()}, Act.ADD, (ALICE, ALICE), Verdict.STORED, None),
        ({"suspended": True, "reference": None, "statements": ()}, Act.REPLACE, (), Verdict.REFUSED, "INS_UNQUALIFIED"),
    ],
)
def test_the_identity_is_asked_at_its_place(
    rows: dict[str, object], act: Act, identities: tuple[Traits, ...], verdict: Verdict, code: str | None
) -> None:
    hostile = {"record": RecordState.OPEN, "reference": HELD, "statements": ((opposition(),),)}
    if act is Act.DELETE:
        hostile["documents"] = State(known=(known("A"),))
    sent = msgspec.structs.replace(submission(act, "A"), identities=identities)
    found = decide(sent, Rows(**(hostile | rows)), NOW)
    assert (found.decision.verdict, found.decision.problem) == (verdict, code)
    asked = code == "TRAITS_DIFFER"
    assert (found.identified is not None and bool(found.identified.traits)) is asked


def test_a_note_goes_with_what_is_stored() -> None:
    sent = msgspec.structs.replace(submission(Act.ADD, "A", "B"), identities=(ALICE, ALICE, UNSURE))
    found = decide(sent, Rows(record=RecordState.OPEN, reference=HELD), NOW)
    assert found.identified is not None
    assert (found.identified.warnings, found.identified.traits) == (("IDENTITY_NOTE",), ("sex",))
    assert [each.unique_id for each in found.writes.insert] == ["A", "B"]
    homonym = msgspec.structs.replace(HELD, homonym=True)
    assert decide(sent, Rows(record=RecordState.OPEN, reference=homonym), NOW).decision.problem == "TRAITS_DIFFER"


def test_a_duplicate_is_not_asked_and_its_neighbour_is() -> None:
    there = Rows(record=RecordState.OPEN, reference=HELD, documents=State(known=(known("A"),)))
    again = msgspec.structs.replace(submission(Act.ADD, "A"), identities=(BORIS,))
    found = decide(again, there, NOW)
    assert (found.decision.verdict, found.identified) == (Verdict.DUPLICATE, None)
    more = decide(msgspec.structs.replace(submission(Act.ADD, "A", "B"), identities=(BORIS,)), there, NOW)
    assert [each.decision.problem for each in more.documents] == [None, "TRAITS_DIFFER"]
    assert more.documents[0].decision.verdict is Verdict.DUPLICATE
    assert more.writes.insert == ()
