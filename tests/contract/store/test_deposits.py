"""Add, replace, delete; duplicates by receipt and by content; what is kept of the bytes (D-4, D-5, D-6, D-11)."""

import msgspec
import pytest

from gateway.mappers.common import carrier
from gateway.model.problem import Problem, Severity
from gateway.model.submission import Act, Carrier, Flags
from gateway.model.verdict import Verdict
from gateway.store.packing import unpack
from tests.contract.store.backends import Bench
from tests.strategies.records import H1, H2, adt, deposit, payload_of

ONE, TWO, THREE = ("1.2.1", b"<doc>un</doc>"), ("1.2.2", b"<doc>deux</doc>"), ("1.2.3", b"<doc>trois</doc>")


def kept(bench: Bench, receipt: str) -> dict[int, bytes]:
    """The parts of a receipt, as they are read again."""
    return {row["part"]: unpack(row["encoding"], row["bytes"]) for row in bench.rows("source_part", receipt=receipt)}


def test_a_document_is_stored_with_its_bytes_and_its_trace(opened: Bench) -> None:
    made = opened.deposit(documents=(ONE,))
    (outcome,) = opened.apply(made)
    assert (outcome.verdict, outcome.codes, outcome.rule) == (Verdict.STORED, (), "D-5")
    assert [(known.unique_id, known.verdict) for known in outcome.documents] == [("1.2.1", Verdict.STORED)]
    parts = kept(opened, outcome.receipt)
    (form,) = opened.rows("source_form", receipt=outcome.receipt)
    carriers = msgspec.json.decode(form["carriers"], type=tuple[Carrier, ...])
    assert parts[1] == ONE[1]
    assert carrier.restore([parts[n] for n in sorted(parts)], carriers) == payload_of(made)
    (trace,) = opened.rows("trace", receipt=outcome.receipt)
    assert (trace["document"], trace["verdict"], trace["actor"]) == ("1.2.1", "stored", "ris-h1")


def test_a_large_document_is_kept_packed_and_comes_back_as_it_was(opened: Bench) -> None:
    content = b"<doc>" + b"ligne de resultat " * 40_000 + b"</doc>"
    made = opened.deposit(documents=(("1.2.1", content),))
    (outcome,) = opened.apply(made)
    rows = opened.rows("source_part", receipt=outcome.receipt, part=1)
    assert rows[0]["encoding"] == "zstd" and len(rows[0]["bytes"]) < len(content) / 100 and rows[0]["size"] == len(content)
    assert kept(opened, outcome.receipt)[1] == content


def test_several_documents_are_settled_together(opened: Bench) -> None:
    outcome = opened.send(documents=(ONE, TWO, THREE))
    assert [known.verdict for known in outcome.documents] == [Verdict.STORED] * 3
    other = ("1.2.2", b"<doc>autre</doc>")
    refused = opened.send(documents=(("1.2.4", b"<doc>neuf</doc>"), other, THREE))
    assert refused.codes == ("OTHER_CONTENT",)
    assert [known.verdict for known in refused.documents] == [Verdict.REFUSED, Verdict.REFUSED, Verdict.DUPLICATE]
    assert "1.2.4" not in opened.states()
    assert kept(opened, refused.receipt) == {}


def test_the_message_of_a_partial_duplicate_can_be_restored(opened: Bench) -> None:
    opened.send(documents=(ONE,))
    made = opened.deposit(documents=(ONE, TWO))
    (outcome,) = opened.apply(made)
    assert [known.verdict for known in outcome.documents] == [Verdict.DUPLICATE, Verdict.STORED]
    parts = kept(opened, outcome.receipt)
    assert carrier.restore([parts[n] for n in sorted(parts)], made.submission.carriers) == payload_of(made)


def test_a_redelivery_gets_the_committed_outcome_and_writes_nothing(opened: Bench) -> None:
    made = opened.deposit()
    (first,) = opened.apply(made)
    before = opened.tables()
    assert opened.apply(made) == [first]
    assert opened.apply(made, made) == [first, first]
    assert opened.tables() == before


def test_a_redelivered_refusal_stays_a_refusal(bench: Bench) -> None:
    made = bench.deposit()
    (first,) = bench.apply(made)
    bench.open()
    assert bench.apply(made) == [first]


@pytest.mark.parametrize("act", [Act.ADD, Act.REPLACE])
def test_the_same_content_is_a_duplicate_with_the_first_receipt(opened: Bench, act: Act) -> None:
    first = opened.send(documents=(ONE,))
    again = opened.send(documents=(ONE,), act=act)
    assert (again.verdict, again.first, again.codes) == (Verdict.DUPLICATE, first.receipt, ())
    assert kept(opened, again.receipt) == {}


def test_the_same_content_twice_in_one_batch_is_a_duplicate(opened: Bench) -> None:
    first, again = opened.apply(opened.deposit(), opened.deposit())
    assert (first.verdict, again.verdict, again.first) == (Verdict.STORED, Verdict.DUPLICATE, first.receipt)


@pytest.mark.parametrize(
    ("flags", "verdict"),
    [
        (Flags(masque_ps=True), Verdict.REFUSED),
        (Flags(invisible_patient=True), Verdict.REFUSED),
        (Flags(invisible_rep_legaux=True), Verdict.REFUSED),
        (Flags(destdmp=True, modif_conf_code=True, ack_reception=True), Verdict.DUPLICATE),
    ],
)
def test_only_the_flags_of_visibility_make_another_content(opened: Bench, flags: Flags, verdict: Verdict) -> None:
    opened.send(documents=(ONE,))
    assert opened.send(documents=(ONE,), flags=flags).verdict is verdict


def test_other_bytes_under_a_known_id_are_refused(opened: Bench) -> None:
    opened.send(documents=(ONE,))
    refused = opened.send(documents=(("1.2.1", b"<doc>autre</doc>"),))
    assert (refused.verdict, refused.codes, refused.rule) == (Verdict.REFUSED, ("OTHER_CONTENT",), "D-6")


def test_a_refusal_is_not_remembered_by_content(bench: Bench) -> None:
    assert bench.send(documents=(ONE,), message_id="015", digest="d").codes == ("RECORD_ABSENT",)
    bench.open()
    again = bench.send(documents=(ONE,), message_id="015", digest="d")
    assert (again.verdict, again.codes) == (Verdict.STORED, ())


def test_a_replacement_makes_its_parent_history(opened: Bench) -> None:
    opened.send(documents=(ONE,), set_id="9", version=1)
    outcome = opened.send(documents=(TWO,), act=Act.REPLACE, set_id="9", version=2, replaces=("1.2.1",))
    assert (outcome.verdict, outcome.codes) == (Verdict.STORED, ())
    assert opened.states() == {"1.2.1": "replaced", "1.2.2": "current"}
    stale = opened.send(documents=(THREE,), act=Act.REPLACE, set_id="9", version=3, replaces=("1.2.1",))
    assert (stale.verdict, stale.codes) == (Verdict.REFUSED, ("VERSION_STALE",))


def test_the_official_chain_under_one_message_id(opened: Bench) -> None:
    """New, replacement, deletion of the replacement, each under MSH-10 015."""
    first = opened.send(documents=(ONE,), message_id="015", set_id="9", version=1)
    second = opened.send(documents=(TWO,), message_id="015", act=Act.REPLACE, set_id="9", version=2, replaces=("1.2.1",))
    third = opened.send(documents=(("1.2.2", b"<doc>sans rapport</doc>"),), message_id="015", act=Act.DELETE)
    assert [known.verdict for known in (first, second, third)] == [Verdict.STORED, Verdict.STORED, Verdict.DELETED]
    assert [known.codes for known in (first, second, third)] == [(), ("MESSAGE_ID_REUSED",), ("MESSAGE_ID_REUSED",)]
    assert all(problem.severity is Severity.WARNING for problem in second.problems)
    assert opened.states() == {"1.2.1": "replaced", "1.2.2": "deleted"}


def test_a_message_id_is_one_applications_own_and_empty_is_none(opened: Bench) -> None:
    opened.send(documents=(ONE,), message_id="015")
    assert opened.send(documents=(TWO,), message_id="015", establishments=(H2,)).codes == ()
    assert opened.send(documents=(THREE,), message_id="").codes == ()
    assert opened.send(documents=(("1.2.4", b"q"),), message_id="").codes == ()


def test_a_document_that_another_establishment_took_is_no_duplicate_and_a_person_must_look(opened: Bench) -> None:
    """Whoever came first, the second one is not told that its document is stored: it could never replace or delete it."""
    taken = opened.send(documents=(ONE,), establishments=(H2,))
    own = opened.send(documents=(TWO, ONE))
    assert (own.verdict, own.codes, own.first) == (Verdict.REFUSED, ("NOT_AUTHOR",), None)
    assert opened.tasks() == ["document.claimed"]
    (task,) = opened.rows("task", kind="document.claimed")
    assert (task["document"], task["receipt"]) == ("1.2.1", own.receipt)
    assert opened.states() == {"1.2.1": "current"}
    assert kept(opened, own.receipt) == {}
    assert opened.send(documents=(ONE,), establishments=(H2,)).first == taken.receipt


def test_a_version_that_comes_late_goes_to_history(opened: Bench) -> None:
    opened.send(documents=(TWO,), set_id="9", version=2)
    late = opened.send(documents=(ONE,), set_id="9", version=1)
    assert late.verdict is Verdict.REPLACED
    assert opened.states() == {"1.2.1": "replaced", "1.2.2": "current"}


def test_a_replacement_before_its_parent_leaves_a_tombstone(opened: Bench) -> None:
    early = opened.send(documents=(TWO,), act=Act.REPLACE, replaces=("1.2.1",))
    assert (early.verdict, early.codes) == (Verdict.STORED, ("PARENT_UNKNOWN",))
    assert opened.send(documents=(ONE,)).verdict is Verdict.REPLACED
    assert opened.states() == {"1.2.1": "replaced", "1.2.2": "current"}


def test_a_deletion_before_its_document_keeps_no_bytes_of_it(opened: Bench) -> None:
    early = opened.send(documents=(ONE,), act=Act.DELETE)
    assert (early.verdict, early.codes) == (Verdict.DELETED, ("TARGET_UNKNOWN",))
    late = opened.send(documents=(ONE, TWO))
    assert [known.verdict for known in late.documents] == [Verdict.DELETED, Verdict.STORED]
    assert kept(opened, late.receipt) == {2: TWO[1]}
    assert ONE[1] not in opened.raw()


def test_a_duplicate_of_a_deleted_document_keeps_no_bytes_of_it(opened: Bench) -> None:
    opened.send(documents=(ONE,), act=Act.DELETE)
    opened.send(documents=(ONE,))
    late = opened.send(documents=(ONE, TWO))
    assert [known.verdict for known in late.documents] == [Verdict.DUPLICATE, Verdict.STORED]
    assert kept(opened, late.receipt) == {2: TWO[1]}


def test_a_deletion_keeps_nothing_that_it_brings_and_is_its_own_duplicate(opened: Bench) -> None:
    opened.send(documents=(ONE,))
    gone = opened.send(documents=(("1.2.1", b"<doc>autres octets</doc>"),), act=Act.DELETE, flags=Flags(masque_ps=True))
    assert gone.verdict is Verdict.DELETED and kept(opened, gone.receipt) == {}
    again = opened.send(documents=(ONE,), act=Act.DELETE)
    assert (again.verdict, again.first) == (Verdict.DUPLICATE, gone.receipt)


def test_only_the_owner_replaces_and_deletes(opened: Bench) -> None:
    opened.send(documents=(ONE,))
    for act, document in ((Act.DELETE, ONE), (Act.REPLACE, TWO)):
        refused = opened.send(documents=(document,), act=act, replaces=("1.2.1",), establishments=(H2, H1))
        assert (refused.verdict, refused.codes, refused.rule) == (Verdict.REFUSED, ("NOT_AUTHOR",), "D-4")
    assert opened.states() == {"1.2.1": "current"}


def test_warnings_travel_with_what_is_stored_and_not_with_what_is_refused(opened: Bench) -> None:
    warning = Problem(code="CDA_UNUSUAL", severity=Severity.WARNING, detail="title")
    assert opened.send(documents=(ONE,), problems=(warning,)).codes == ("CDA_UNUSUAL",)
    opened.close_record()
    assert opened.send(documents=(TWO,), problems=(warning,)).codes == ("RECORD_CLOSED",)


def test_parked_is_no_outcome(opened: Bench) -> None:
    made = opened.deposit()
    parked = opened.park(made)
    assert (parked.verdict, parked.codes) == (Verdict.PARKED, ("INTERNAL",))
    assert opened.park(made) == parked
    assert [row["receipt"] for row in opened.rows("parked")] == [made.reception.receipt]
    (outcome,) = opened.apply(made)
    assert outcome.verdict is Verdict.STORED
    assert opened.rows("parked") == [] and opened.park(made) == outcome
    assert [row["verdict"] for row in opened.rows("trace", receipt=made.reception.receipt)] == ["parked", "stored"]


def test_a_parked_deposit_is_judged_on_the_rights_of_today(opened: Bench) -> None:
    made = opened.deposit()
    opened.park(made)
    opened.close_record()
    assert opened.apply(made)[0].codes == ("RECORD_CLOSED",)


def test_a_patients_documents_are_not_anothers(opened: Bench) -> None:
    """One uniqueId in two records: each is judged in its own."""
    outcome = opened.send(documents=(ONE,))
    opened.event(adt())
    again = opened.apply(deposit("other", opened.clock.now(), documents=(ONE,), establishments=(H1,)))[0]
    assert again.first == outcome.receipt
