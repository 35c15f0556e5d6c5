"""The identity that a record holds, and the documents that are compared with it (D-19)."""

import pytest

from gateway.model.event import Position
from gateway.model.patient import Traits
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.model.when import When
from tests.contract.store.backends import Bench
from tests.strategies.identities import (
    ALICE_TRAITS,
    CARLA_TRAITS,
    but,
    changed,
    identity,
    nia,
    nir,
    opened_with,
    qualified,
    under,
)
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, adt, closing, local, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
IPP, OTHER_IPP = local(H1, "100"), local(H1, "200")
ONE, TWO = ("1.2.1", b"<doc>un</doc>"), ("1.2.2", b"<doc>deux</doc>")
TEMPORARY, LASTING = nia("2750163012345"), nir("2750163012346")
#: One tolerable difference: the list of given names stops earlier.
SHORTER = but(ALICE_TRAITS, given_names="ADELE")
#: Two of them.
TWICE = but(SHORTER, birth_date=When.read("1984"))


def references(bench: Bench) -> list[tuple[int, str, bool, bool]]:
    """Version, source, whether a homonym is known, and whether it holds a birth name."""
    return [
        (row["version"], row["source"], bool(row["homonym"]), "birth_name" in row["traits"])
        for row in sorted(bench.rows("reference"), key=lambda row: (row["patient"], row["version"]))
    ]


def watched(bench: Bench, *kinds: str) -> list[tuple[str, str]]:
    """Kind and detail of what identity watch is told."""
    return [(row["kind"], row["detail"]) for row in bench.tables()["task"] if row["kind"].startswith(kinds or ("identity.",))]


# -- links


def test_an_identifier_keeps_what_it_named(opened: Bench) -> None:
    first = opened.event(adt(patient=(IPP,), links=False))
    second = opened.event(adt(patient=(ALICE, IPP)))
    rows = sorted(opened.rows("link", value="100"), key=lambda row: row["from_at"])
    assert [(row["because"], row["receipt"], row["ended_by"]) for row in rows] == [
        ("seen", first.receipt, second.receipt),
        ("link", second.receipt, None),
    ]
    assert rows[0]["to_at"] == rows[1]["from_at"] == second.committed_at
    assert [row["because"] for row in opened.rows("link", value=ALICE.value)] == ["opening"]
    now = {(row["authority"], row["value"], row["patient"]) for row in opened.tables()["identifier"]}
    assert now == {(row["authority"], row["value"], row["patient"]) for row in opened.rows("link", to_at=None)}


def test_what_names_its_patient_already_is_not_written_again(opened: Bench) -> None:
    for _ in range(3):
        opened.event(adt(patient=(ALICE, IPP)))
    assert [row["because"] for row in opened.rows("link", value="100")] == ["link"]


# -- the reference


def test_the_opening_tells_the_identity(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    assert references(bench) == [(1, "operator", False, True)]


def test_an_opening_that_tells_nothing_leaves_it_to_the_first_qualified_event(bench: Bench) -> None:
    bench.event(opened_with(Traits()))
    assert references(bench) == []
    bench.event(qualified(identity(ALICE, IPP)))
    assert references(bench) == [(1, "ris-h1", False, True)]


@pytest.mark.parametrize(
    "event",
    [
        qualified(identity(ALICE, IPP, status=("PROV",))),
        qualified(identity(ALICE, IPP, status=("VALI", "DOUT"))),
        qualified(identity(ALICE, IPP), links=False),
        qualified(identity(IPP, OTHER_IPP)),
    ],
)
def test_what_is_not_qualified_tells_no_identity(bench: Bench, event: object) -> None:
    bench.event(opened_with(Traits()))
    bench.event(event)
    assert references(bench) == []
    assert watched(bench) == []


def test_its_own_source_makes_it_more_complete_and_old_versions_stay(opened: Bench) -> None:
    opened.event(qualified(identity(ALICE, IPP, traits=TWICE)), H2)
    opened.event(qualified(identity(ALICE, IPP)), H2)
    opened.event(qualified(identity(ALICE, IPP)), H2)
    # The opening told the sex; whoever else says more is not taken.
    assert references(opened) == [(1, "operator", False, False)]
    assert watched(opened) == [
        ("identity.watch", "birth_name first_given_name given_names birth_date birth_place"),
    ]
    opened.open(BORIS)
    opened.execute("DELETE FROM reference")
    opened.event(qualified(identity(ALICE, IPP, traits=TWICE)), H2)
    opened.event(qualified(identity(ALICE, IPP)), H2)
    assert references(opened) == [(1, "ris-h2", False, True), (2, "ris-h2", False, True)]
    first, second = sorted(opened.rows("reference"), key=lambda row: row["version"])
    assert ("1984-10-02" in first["traits"], "1984-10-02" in second["traits"]) == (False, True)


@pytest.mark.parametrize("establishment", [H1, H2])
def test_a_contradiction_changes_nothing_and_is_told_by_name(bench: Bench, establishment: str) -> None:
    bench.event(opened_with(Traits()))
    bench.event(qualified(identity(ALICE, IPP)))
    wrong = but(ALICE_TRAITS, birth_date=When.read("19841003"), sex="M")
    for _ in range(2):
        bench.event(qualified(identity(ALICE, local(establishment, "100"), traits=wrong)), establishment)
    assert references(bench) == [(1, "ris-h1", False, True)]
    assert watched(bench) == [("identity.watch", "sex birth_date")]
    assert bench.apply(under(bench.deposit(), ALICE_TRAITS))[0].verdict is Verdict.STORED


def test_an_opening_after_the_event_does_not_exchange_it(bench: Bench) -> None:
    bench.event(qualified(identity(ALICE, IPP)))
    bench.event(opened_with(CARLA_TRAITS))
    assert references(bench) == [(1, "ris-h1", False, True)]
    assert watched(bench)[0][0] == "identity.watch"


def test_a_homonym_stays_known_whoever_says_so(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    bench.event(qualified(identity(ALICE, IPP, status=("VALI", "HOMA"))))
    bench.event(qualified(identity(ALICE, IPP)))
    assert references(bench) == [(1, "operator", False, True), (2, "operator", True, True)]


def test_a_twin_is_known_by_the_birth_rank(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    bench.event(qualified(identity(ALICE, IPP, twin=True)))
    assert references(bench)[-1] == (2, "operator", True, True)


# -- deposits


def test_a_document_of_somebody_else_is_refused_and_nothing_of_it_is_kept(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    outcome = bench.apply(under(bench.deposit(documents=(ONE,), title="UNDISCLOSED"), but(ALICE_TRAITS, birth_name="AUTRE")))[0]
    assert (outcome.verdict, outcome.codes, outcome.rule) == (Verdict.REFUSED, ("TRAITS_DIFFER",), "D-19")
    assert bench.states() == {}
    assert [row["code"] for row in bench.tables()["refusal"]] == ["TRAITS_DIFFER"]
    assert watched(bench) == [("identity.traits", "birth_name")]
    assert b"UNDISCLOSED" not in bench.raw()
    # The sender learns the code and nothing else.
    assert [(p.code, p.detail, p.place) for p in outcome.problems] == [("TRAITS_DIFFER", "", None)]
    assert all(document.problems == () or document.problems[0].detail == "" for document in outcome.documents)


def test_one_tolerable_difference_is_stored_and_told_to_the_operator_alone(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    outcome = bench.apply(under(bench.deposit(), SHORTER))[0]
    assert (outcome.verdict, outcome.codes) == (Verdict.STORED, ("IDENTITY_NOTE",))
    assert [(p.severity.err4, p.detail) for p in outcome.problems] == [("W", "")]
    assert watched(bench) == [("identity.note", "given_names")]
    # The same again is listed once, as long as nobody looked.
    bench.apply(under(bench.deposit(documents=(TWO,)), SHORTER))
    assert len(watched(bench)) == 1
    bench.execute("UPDATE task SET done_at = 'x'")
    bench.apply(under(bench.deposit(documents=(("1.2.9", b"neuf"),)), SHORTER))
    assert len(watched(bench)) == 2


@pytest.mark.parametrize(("shared", "code"), [(False, ("IDENTITY_NOTE",)), (True, ("TRAITS_DIFFER",))])
def test_a_known_homonym_asks_for_a_strict_match(bench: Bench, shared: bool, code: tuple[str, ...]) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    bench.event(qualified(identity(ALICE, IPP, twin=shared)))
    assert bench.apply(under(bench.deposit(), SHORTER))[0].codes == code
    assert bench.apply(under(bench.deposit(documents=(TWO,)), ALICE_TRAITS))[0].codes == ()


def test_the_message_and_each_document_are_compared_and_add_up(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    assert bench.apply(under(bench.deposit(), ALICE_TRAITS, but(ALICE_TRAITS, sex="M")))[0].codes == ("TRAITS_DIFFER",)
    late = but(ALICE_TRAITS, birth_date=When.read("1984"))
    assert bench.apply(under(bench.deposit(), SHORTER, late))[0].codes == ("TRAITS_DIFFER",)
    assert watched(bench) == [("identity.traits", "sex"), ("identity.traits", "given_names birth_date")]


def test_a_deletion_is_not_asked_whose_it_is(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    bench.apply(under(bench.deposit(documents=(ONE,)), ALICE_TRAITS))
    deletion = under(bench.deposit(documents=(ONE,), act=Act.DELETE), CARLA_TRAITS)
    assert bench.apply(deletion)[0].verdict is Verdict.DELETED
    assert watched(bench) == []


def test_a_replacement_is_asked(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    bench.apply(under(bench.deposit(documents=(ONE,)), ALICE_TRAITS))
    replacement = under(bench.deposit(documents=(TWO,), act=Act.REPLACE, replaces=("1.2.1",)), CARLA_TRAITS)
    assert bench.apply(replacement)[0].codes == ("TRAITS_DIFFER",)
    assert bench.states() == {"1.2.1": "current"}


def test_what_is_in_the_record_stays_a_duplicate(bench: Bench) -> None:
    bench.open()
    first = under(bench.deposit(documents=(ONE,)), CARLA_TRAITS)
    bench.apply(first)
    bench.execute("DELETE FROM reference")
    bench.event(qualified(identity(ALICE, IPP)))
    again = bench.apply(under(bench.deposit(documents=(ONE,)), CARLA_TRAITS))[0]
    assert (again.verdict, again.first, again.codes) == (Verdict.DUPLICATE, first.reception.receipt, ())
    assert watched(bench) == []


def test_the_order_of_the_tests(bench: Bench) -> None:
    """RECORD_ABSENT before the traits, the traits before RECORD_CLOSED and OPPOSED."""
    bench.event(qualified(identity(ALICE, IPP), stated(IO)))
    assert bench.apply(under(bench.deposit(), CARLA_TRAITS))[0].codes == ("RECORD_ABSENT",)
    bench.open()
    assert bench.apply(under(bench.deposit(), CARLA_TRAITS))[0].codes == ("TRAITS_DIFFER",)
    assert bench.apply(under(bench.deposit(), ALICE_TRAITS))[0].codes == ("OPPOSED",)
    bench.event(closing())
    assert bench.apply(under(bench.deposit(), CARLA_TRAITS))[0].codes == ("TRAITS_DIFFER",)
    assert bench.apply(under(bench.deposit(), ALICE_TRAITS))[0].codes == ("RECORD_CLOSED",)


def test_a_note_is_told_only_of_what_is_stored(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    bench.event(adt(stated(IO)))
    assert bench.apply(under(bench.deposit(), SHORTER))[0].codes == ("OPPOSED",)
    assert watched(bench) == []


def test_a_batch_gives_the_result_of_one_by_one(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS))
    bench.event(opened_with(CARLA_TRAITS, CARLA))
    bench.event(opened_with(Traits(), BORIS))
    sent = [
        under(bench.deposit(documents=((f"1.2.{number}", b"x"),), patient=(who,)), traits)
        for number, (who, traits) in enumerate(
            (who, traits) for who in (ALICE, CARLA, BORIS) for traits in (ALICE_TRAITS, SHORTER, CARLA_TRAITS, Traits())
        )
    ]
    assert [outcome.codes for outcome in bench.apply(*sent)] == [
        (), ("IDENTITY_NOTE",), ("TRAITS_DIFFER",), (),
        ("TRAITS_DIFFER",), ("TRAITS_DIFFER",), (), (),
        (), (), (), (),
    ]  # fmt: skip


# -- NIA and NIR


def test_a_nir_that_follows_its_nia_is_the_same_patient_s(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS, TEMPORARY))
    bench.event(qualified(identity(TEMPORARY, IPP)))
    assert bench.event(qualified(identity(LASTING, IPP))).codes == ()
    for who in (TEMPORARY, LASTING):
        page = bench.record(who)
        assert page is not None and set(page.identifiers) == {TEMPORARY.key, LASTING.key, IPP.key}
    assert bench.apply(under(bench.deposit(patient=(LASTING,), documents=(ONE,)), ALICE_TRAITS))[0].verdict is Verdict.STORED
    assert bench.apply(under(bench.deposit(patient=(TEMPORARY,), documents=(TWO,)), ALICE_TRAITS))[0].verdict is Verdict.STORED


def test_both_in_one_message(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS, TEMPORARY))
    outcome = bench.event(qualified(identity(TEMPORARY, LASTING, IPP)))
    assert outcome.codes == ()
    assert bench.rows("receipt", id=outcome.receipt)[0]["patient_value"] == LASTING.value, "the NIR is the one shown"
    # A deposit that carries both finds the record by the one that is known.
    bench.event(opened_with(CARLA_TRAITS, nia("2981299123456")))
    sent = bench.deposit(patient=(nir("2981299123457"), nia("2981299123456")))
    assert bench.apply(under(sent, CARLA_TRAITS))[0].verdict is Verdict.STORED


@pytest.mark.parametrize("first", [TEMPORARY, LASTING])
def test_a_nia_and_a_nir_that_were_known_apart_become_one(bench: Bench, first: object) -> None:
    """Opposed under the one, deposited under the other: before and after."""
    second = TEMPORARY if first is LASTING else LASTING
    bench.event(opened_with(ALICE_TRAITS, first))
    bench.event(qualified(identity(second, OTHER_IPP), stated(IO)))
    assert bench.apply(under(bench.deposit(patient=(first,), documents=(ONE,)), ALICE_TRAITS))[0].verdict is Verdict.STORED
    assert bench.event(qualified(identity(TEMPORARY, LASTING))).codes == ()
    for who in (TEMPORARY, LASTING):
        assert bench.apply(under(bench.deposit(patient=(who,), documents=(TWO,)), ALICE_TRAITS))[0].codes == ("OPPOSED",)
    page = bench.record(first)
    assert page is not None and [line.withheld for line in page.documents] == [True]


@pytest.mark.parametrize(
    ("arriving", "traits"),
    [
        ((LASTING, IPP), CARLA_TRAITS),
        ((nir("2981299123457"), LASTING, IPP), ALICE_TRAITS),
        ((nia("2981299123456"), IPP), ALICE_TRAITS),
    ],
)
def test_another_ins_or_other_traits_are_a_conflict(bench: Bench, arriving: tuple[object, ...], traits: Traits) -> None:
    bench.event(opened_with(ALICE_TRAITS, TEMPORARY))
    bench.event(qualified(identity(TEMPORARY, IPP), stated(IO)))
    outcome = bench.event(qualified(identity(*arriving, traits=traits), stated(IO, H2)), H2)
    assert outcome.codes == ("IDENTITY_CONFLICT",)
    page = bench.record(TEMPORARY)
    assert page is not None and set(page.identifiers) == {TEMPORARY.key, IPP.key}
    assert references(bench) == [(1, "operator", False, True)]
    for establishment in (H1, H2):
        sent = bench.deposit(patient=(TEMPORARY, IPP), establishments=(establishment,))
        assert bench.apply(under(sent, ALICE_TRAITS))[0].codes == ("OPPOSED",)


def test_two_records_of_a_nia_and_a_nir_are_for_identity_watch(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS, TEMPORARY))
    bench.event(opened_with(ALICE_TRAITS, LASTING))
    assert bench.event(qualified(identity(TEMPORARY, LASTING, IPP))).codes == ("IDENTITY_CONFLICT",)
    assert len(bench.rows("record")) == 2


def test_an_a47_of_a_nia_gives_the_same(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS, TEMPORARY))
    bench.event(qualified(identity(TEMPORARY, IPP), stated(IO)))
    assert bench.event(changed(identity(LASTING, IPP), TEMPORARY)).codes == ()
    assert bench.apply(under(bench.deposit(patient=(LASTING,)), ALICE_TRAITS))[0].codes == ("OPPOSED",)
    assert watched(bench) == []
