"""Who is who: an opposition under a local id binds the INS from the link's commit; two INS never become one (D-1)."""

from gateway.model.event import Position
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.records import ALICE, BORIS, H1, H2, adt, local, opening, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
IPP, OTHER_IPP = local(H1, "100"), local(H1, "200")
ONE, TWO = ("1.2.1", b"<doc>un</doc>"), ("1.2.2", b"<doc>deux</doc>")


def test_an_opposition_before_the_record_exists(bench: Bench) -> None:
    bench.event(adt(stated(IO)))
    bench.open()
    assert bench.send().codes == ("OPPOSED",)


def test_an_opposition_under_a_local_id_binds_a_deposit_that_carries_it(opened: Bench) -> None:
    opened.event(adt(stated(IO), patient=(IPP,), links=False))
    assert opened.send(documents=(ONE,), patient=(ALICE, IPP)).codes == ("OPPOSED",)
    assert opened.send(documents=(ONE,), patient=(ALICE,), target=(ALICE, IPP)).codes == ("OPPOSED",)
    assert opened.send(documents=(ONE,), patient=(ALICE,)).verdict is Verdict.STORED


def test_a_deposit_links_nothing(opened: Bench) -> None:
    opened.event(adt(stated(IO), patient=(IPP,), links=False))
    opened.send(documents=(ONE,), patient=(ALICE, IPP))
    opened.send(documents=(TWO,), patient=(ALICE, OTHER_IPP))
    assert opened.record(OTHER_IPP) is None
    page = opened.record(ALICE)
    assert page is not None and page.identifiers == (ALICE.key,) and page.statements == ()


def test_a_link_binds_from_its_commit_and_withholds_what_was_stored_since(opened: Bench) -> None:
    opened.event(adt(stated(IO), patient=(IPP,), links=False))
    opened.send(documents=(ONE,))
    opened.send(documents=(TWO,), establishments=(H2,))
    link = opened.event(adt(patient=(ALICE, IPP)))
    assert (link.verdict, link.rule) == (Verdict.APPLIED, "D-1")
    page = opened.record()
    assert page is not None
    assert {line.unique_id: line.withheld for line in page.documents} == {"1.2.1": True, "1.2.2": False}
    assert [(line.because, line.in_force) for line in page.statements] == [("link", True)]
    assert page.statements[0].bound_from == link.committed_at
    assert opened.tasks() == ["document.withheld"] and page.tasks == ("document.withheld",)
    assert [(row["action"], row["document"]) for row in opened.rows("trace", receipt=link.receipt)] == [
        ("document.withheld", "1.2.1"),
        ("identity.linked", None),
    ]
    assert opened.send(documents=(("1.2.9", b"neuf"),)).codes == ("OPPOSED",)


def test_a_link_that_repeats_itself_withholds_once(opened: Bench) -> None:
    opened.event(adt(stated(IO), patient=(IPP,), links=False))
    opened.send(documents=(ONE,))
    for _ in range(3):
        opened.event(adt(patient=(ALICE, IPP)))
    assert opened.tasks() == ["document.withheld"]
    assert len(opened.rows("binding")) == 2


def test_a_link_keeps_the_bindings_on_both_sides(opened: Bench) -> None:
    first = opened.event(adt(stated(IO, H2), patient=(IPP,), links=False))
    second = opened.event(adt(stated(IO, H1)))
    opened.event(adt(patient=(ALICE, IPP)))
    bindings = {(row["patient"], row["statement"]) for row in opened.rows("binding") if row["to_at"] is None}
    (own,) = opened.rows("patient", merged_into=None)
    (gone,) = [row for row in opened.rows("patient") if row["merged_into"] == own["id"]]
    assert bindings == {(gone["id"], first.statement), (own["id"], first.statement), (own["id"], second.statement)}
    assert opened.send(establishments=(H1,)).codes == opened.send(establishments=(H2,)).codes == ("OPPOSED",)


def test_what_a_person_must_look_at_goes_along(opened: Bench) -> None:
    opened.event(adt(stated(IO), patient=(IPP,), links=False))
    opened.execute("INSERT INTO task (raised_at, kind, receipt, patient) SELECT created_at, 'x', 'r', 2 FROM patient LIMIT 1")
    opened.event(adt(patient=(ALICE, IPP)))
    page = opened.record()
    assert page is not None and page.tasks == ("x",)


def test_a_lifting_under_the_local_id_counts_after_the_link(opened: Bench) -> None:
    opened.event(adt(stated(IO, at="20260308")))
    opened.event(adt(stated(INO, at="20260309"), patient=(IPP,), links=False))
    assert opened.send().codes == ("OPPOSED",)
    opened.event(adt(patient=(ALICE, IPP)))
    assert opened.send().verdict is Verdict.STORED


def test_without_a_link_each_identifier_keeps_its_own_patient(bench: Bench) -> None:
    bench.event(adt(stated(IO), patient=(ALICE, IPP), links=False))
    assert len(bench.rows("patient")) == 2 and len(bench.rows("binding")) == 2
    bench.open()
    assert bench.send().codes == ("OPPOSED",)


def test_a_statement_is_kept_under_every_identifier_it_came_with(bench: Bench) -> None:
    outcome = bench.event(adt(stated(IO), patient=(ALICE, IPP)))
    assert {(row["authority"], row["value"]) for row in bench.rows("statement_identifier", statement=outcome.statement)} == {
        ALICE.key,
        IPP.key,
    }


def test_two_ins_never_become_one(opened: Bench) -> None:
    opened.open(BORIS)
    opened.event(adt(patient=(ALICE, IPP)))
    outcome = opened.event(adt(stated(IO), patient=(BORIS, IPP)))
    assert (outcome.verdict, outcome.codes) == (Verdict.APPLIED, ("IDENTITY_CONFLICT",))
    assert opened.tasks() == ["identity.conflict"]
    alice, boris = opened.record(ALICE), opened.record(BORIS)
    assert alice is not None and boris is not None
    assert (alice.identifiers, boris.identifiers) == ((ALICE.key, IPP.key), (BORIS.key,))
    assert opened.send().codes == opened.send(patient=(BORIS,)).codes == ("OPPOSED",)


def test_two_ins_never_seen_before_do_not_become_one_either(bench: Bench) -> None:
    outcome = bench.event(adt(stated(IO), patient=(ALICE, BORIS, IPP)))
    assert outcome.codes == ("IDENTITY_CONFLICT",)
    assert len(bench.rows("patient")) == 3
    for patient in (ALICE, BORIS):
        bench.open(patient)
        assert bench.send(patient=(patient,)).codes == ("OPPOSED",)


def test_two_records_never_become_one(bench: Bench) -> None:
    bench.event(opening(IPP))
    bench.event(opening(OTHER_IPP))
    assert bench.event(adt(patient=(IPP, OTHER_IPP))).codes == ("IDENTITY_CONFLICT",)
    assert len(bench.rows("record")) == 2


def test_an_ins_joins_a_record_opened_under_a_local_id(bench: Bench) -> None:
    bench.event(opening(IPP))
    assert bench.event(adt(patient=(ALICE, IPP))).codes == ()
    assert bench.send().verdict is Verdict.STORED


def test_two_local_ids_of_one_person_are_joined_by_the_ins(bench: Bench) -> None:
    bench.event(adt(stated(IO, H1), patient=(IPP,), links=False))
    bench.event(adt(stated(IO, H2), patient=(local(H2, "7"),), links=False))
    bench.event(opening(ALICE))
    bench.event(adt(patient=(ALICE, IPP)))
    bench.event(adt(patient=(local(H2, "7"), ALICE)))
    assert bench.send(establishments=(H1,)).codes == bench.send(establishments=(H2,)).codes == ("OPPOSED",)


def test_the_local_id_of_one_and_the_ins_of_another_test_both(opened: Bench) -> None:
    """A deposit whose local id leads to somebody else: an opposition of either refuses."""
    opened.event(adt(stated(IO), patient=(IPP,), links=False))
    opened.open(BORIS)
    opened.event(adt(patient=(BORIS, OTHER_IPP)))
    assert opened.send(patient=(BORIS, IPP)).codes == ("OPPOSED",)
    assert opened.send(patient=(BORIS, OTHER_IPP)).verdict is Verdict.STORED


def test_a_withheld_document_can_still_be_deleted(opened: Bench) -> None:
    opened.event(adt(stated(IO), patient=(IPP,), links=False))
    opened.send(documents=(ONE,))
    opened.event(adt(patient=(ALICE, IPP)))
    assert opened.send(act=Act.DELETE, documents=(ONE,)).verdict is Verdict.DELETED


def test_what_is_allowed_under_an_unlinked_identifier_lifts_nothing_of_another_patient(opened: Bench) -> None:
    """The INS opposes, the IPP alone allows, and nothing joins them: a deposit that carries both is refused (D-1)."""
    opened.event(adt(stated(IO, at="20260308"), patient=(ALICE,)))
    opened.event(adt(stated(INO, at="20260309"), patient=(IPP,)))
    assert opened.send(documents=(ONE,), patient=(ALICE, IPP)).codes == ("OPPOSED",)
