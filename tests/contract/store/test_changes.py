"""What an A47 changes, and that no opposition is lost by it: opposed before, opposed after (D-1)."""

import pytest

from gateway.model.event import Position, Scope
from gateway.model.patient import PatientId, PatientIdentity
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from tests.contract.store.backends import Bench
from tests.strategies.identities import ALICE_TRAITS, CARLA_TRAITS, changed, identity, opened_with, qualified, under
from tests.strategies.records import ALICE, BORIS, H1, H2, adt, ins, local, opening, reception, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
IPP, NEW_IPP, THEIRS = local(H1, "100"), local(H1, "900"), local(H2, "7")
#: The INS that takes the place of ALICE's.
NEW = ins("2750163012399")
ONE, TWO = ("1.2.1", b"<doc>un</doc>"), ("1.2.2", b"<doc>deux</doc>")


def sent(bench: Bench, *patient: PatientId, **facts: object) -> tuple[str, ...]:
    """The codes that a deposit with ALICE's traits gets; `()` where it is stored."""
    outcome = bench.apply(under(bench.deposit(patient=patient, **facts), facts.pop("traits", ALICE_TRAITS)))[0]
    assert (outcome.verdict is Verdict.REFUSED) is bool(outcome.codes)
    return outcome.codes


def tasks(bench: Bench) -> list[tuple[str, str | None]]:
    return [(row["kind"], row["detail"]) for row in bench.tables()["task"]]


def traced(bench: Bench, receipt: str) -> list[str]:
    return sorted(row["action"] for row in bench.rows("trace", receipt=receipt))


def patient_of(bench: Bench, known: PatientId) -> int:
    (row,) = bench.rows("identifier", authority=known.authority, value=known.value)
    return row["patient"]


@pytest.fixture
def alice(bench: Bench) -> Bench:
    """A record under ALICE's INS, linked by the first establishment."""
    bench.event(opened_with(ALICE_TRAITS))
    bench.event(qualified(identity(ALICE, IPP)))
    return bench


#: Whose opposition, and under which identifiers it was stated.
SAID = {
    "of the establishment": (adt(stated(IO), patient=(ALICE, IPP)), H1),
    "under its number alone": (adt(stated(IO), patient=(IPP,), links=False), H1),
    "under the INS alone": (adt(stated(IO), patient=(ALICE,), links=False), H1),
    "of the patient": (adt(stated(IO, None), patient=(ALICE,), links=False), "operator"),
    "of the patient, for the establishment": (
        adt(stated(IO, None, scope=Scope.ESTABLISHMENT, value=H1), patient=(ALICE,), links=False),
        "operator",
    ),
}


# -- INS to INS


@pytest.mark.parametrize("said", SAID)
def test_a_new_ins_of_the_same_person_names_the_same_record(alice: Bench, said: str) -> None:
    event, who = SAID[said]
    alice.event(event, who)
    assert sent(alice, ALICE) == ("OPPOSED",)
    outcome = alice.event(changed(identity(NEW, IPP), ALICE))
    assert (outcome.verdict, outcome.codes, outcome.rule) == (Verdict.APPLIED, (), "D-1")
    page = alice.record(NEW)
    assert page is not None and set(page.identifiers) == {ALICE.key, NEW.key, IPP.key}
    for known in (ALICE, NEW):
        assert sent(alice, known) == ("OPPOSED",)
    assert tasks(alice) == []
    assert traced(alice, outcome.receipt) == ["identity.changed"]
    assert [row["because"] for row in alice.rows("link", value=NEW.value)] == ["change"]


def test_documents_under_either_ins_reach_the_record(alice: Bench) -> None:
    assert sent(alice, ALICE, documents=(ONE,)) == ()
    alice.event(changed(identity(NEW, IPP), ALICE))
    assert sent(alice, NEW, documents=(TWO,)) == ()
    assert sent(alice, ALICE, documents=(("1.2.3", b"trois"),)) == ()
    assert set(alice.states(NEW)) == {"1.2.1", "1.2.2", "1.2.3"}


def test_another_establishment_sees_the_two_ins_as_one_from_then_on(alice: Bench) -> None:
    alice.event(qualified(identity(ALICE, THEIRS)), H2)
    alice.event(changed(identity(NEW, IPP), ALICE))
    assert alice.event(qualified(identity(ALICE, THEIRS)), H2).codes == ()
    assert alice.event(qualified(identity(NEW, THEIRS)), H2).codes == ()
    alice.event(adt(stated(IO, H2), patient=(THEIRS,), links=False), H2)
    assert sent(alice, NEW, establishments=(H2,)) == ("OPPOSED",)


@pytest.mark.parametrize("said", SAID)
def test_traits_that_contradict_make_another_patient_of_the_new_ins(alice: Bench, said: str) -> None:
    event, who = SAID[said]
    alice.event(event, who)
    assert sent(alice, ALICE) == ("OPPOSED",)
    outcome = alice.event(changed(identity(NEW, IPP, traits=CARLA_TRAITS), ALICE))
    assert (outcome.verdict, outcome.codes) == (Verdict.APPLIED, ())
    assert patient_of(alice, NEW) == patient_of(alice, IPP) != patient_of(alice, ALICE)
    assert tasks(alice) == [("identity.misfiled", H1)]
    assert traced(alice, outcome.receipt) == ["identity.changed", "identity.moved"]
    assert sent(alice, ALICE) == ("OPPOSED",)
    alice.event(opening(NEW))
    here = alice.deposit(patient=(NEW, IPP))
    # What the patient of the old INS said themselves is not the other person's.
    theirs = () if who == "operator" else ("OPPOSED",)
    assert alice.apply(under(here, CARLA_TRAITS))[0].codes == theirs
    assert [row["because"] for row in alice.rows("link", value="100")] == ["link", "change"]


@pytest.mark.parametrize("said", SAID)
def test_an_ins_that_is_known_already_is_never_merged(alice: Bench, said: str) -> None:
    """The numbers of the establishment move; whatever was opposed before is opposed after, under either INS."""
    event, who = SAID[said]
    alice.event(opened_with(ALICE_TRAITS, NEW))
    assert sent(alice, NEW, documents=(ONE,)) == ()
    alice.event(event, who)
    outcome = alice.event(changed(identity(NEW, IPP), ALICE))
    assert (outcome.verdict, outcome.codes) == (Verdict.APPLIED, ())
    assert len(alice.rows("record")) == 2
    assert patient_of(alice, NEW) == patient_of(alice, IPP) != patient_of(alice, ALICE)
    assert sent(alice, ALICE) == sent(alice, NEW) == sent(alice, NEW, IPP) == ("OPPOSED",)
    assert sorted(kind for kind, _ in tasks(alice)) == ["document.withheld", "identity.misfiled"]
    page = alice.record(NEW)
    assert page is not None and [line.withheld for line in page.documents] == [True], "bound late: what was stored is withheld"


def test_an_allowance_of_the_old_patient_lifts_nothing_of_the_new(alice: Bench) -> None:
    alice.event(opened_with(ALICE_TRAITS, NEW))
    alice.event(adt(stated(IO, at="20260308"), patient=(NEW,), links=False))
    alice.event(adt(stated(INO, at="20260309"), patient=(ALICE, IPP)))
    assert (sent(alice, ALICE), sent(alice, NEW)) == ((), ("OPPOSED",))
    alice.event(changed(identity(NEW, IPP), ALICE))
    assert sent(alice, NEW, documents=(TWO,)) == ("OPPOSED",)


def test_the_later_word_of_the_establishment_counts_where_its_numbers_meet(alice: Bench) -> None:
    """As after a link: both were said to it, of what it now says is one person (D-3)."""
    alice.event(opened_with(ALICE_TRAITS, NEW))
    alice.event(adt(stated(INO, at="20260309"), patient=(NEW,), links=False))
    alice.event(adt(stated(IO, at="20260308"), patient=(ALICE, IPP)))
    alice.event(changed(identity(NEW, IPP), ALICE))
    assert (sent(alice, ALICE), sent(alice, NEW, IPP, documents=(TWO,))) == (("OPPOSED",), ())
    alice.event(adt(stated(IO, at="20260310"), patient=(IPP,), links=False))
    assert sent(alice, NEW, documents=(("1.2.9", b"neuf"),)) == ("OPPOSED",)


def test_numbers_of_others_stay_where_they_are(alice: Bench) -> None:
    alice.event(qualified(identity(ALICE, THEIRS)), H2)
    alice.event(opened_with(ALICE_TRAITS, NEW))
    alice.event(changed(identity(NEW, IPP), ALICE))
    assert patient_of(alice, THEIRS) == patient_of(alice, ALICE)


def test_an_ins_that_replaces_an_unknown_one_is_linked_as_by_any_event(bench: Bench) -> None:
    bench.event(opened_with(ALICE_TRAITS, NEW))
    bench.event(adt(stated(IO), patient=(IPP,), links=False))
    assert sent(bench, NEW) == ()
    assert bench.event(changed(identity(NEW, IPP), ALICE)).codes == ()
    assert sent(bench, NEW, documents=(TWO,)) == ("OPPOSED",)
    assert bench.rows("identifier", value=ALICE.value) == [], "nobody else said whose the old one was"


def test_a_number_under_a_third_ins_is_a_conflict(alice: Bench) -> None:
    alice.open(BORIS)
    alice.event(adt(patient=(BORIS, NEW_IPP)))
    outcome = alice.event(changed(identity(NEW, NEW_IPP), ALICE))
    assert outcome.codes == ("IDENTITY_CONFLICT",)
    assert patient_of(alice, NEW_IPP) == patient_of(alice, BORIS)


def test_the_new_ins_takes_the_identity_along(alice: Bench) -> None:
    alice.execute("DELETE FROM reference")
    alice.event(qualified(identity(ALICE, IPP)))
    alice.event(changed(identity(NEW, IPP, twin=True), ALICE))
    rows = sorted(alice.rows("reference"), key=lambda row: row["version"])
    assert [(row["version"], bool(row["homonym"])) for row in rows] == [(1, False), (2, True)]


# -- number to number


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("status", [("VALI",), ("PROV",)])
def test_a_new_number_leads_where_the_old_one_led(alice: Bench, known: bool, status: tuple[str, ...]) -> None:
    alice.event(adt(stated(IO), patient=(IPP,), links=False))
    if known:
        alice.event(adt(stated(IO, None), patient=(NEW_IPP,), links=False))
    outcome = alice.event(changed(identity(NEW_IPP, status=status), IPP))
    assert outcome.codes == ()
    assert patient_of(alice, NEW_IPP) == patient_of(alice, IPP) == patient_of(alice, ALICE)
    assert sent(alice, ALICE, IPP) == sent(alice, ALICE, NEW_IPP) == sent(alice, ALICE) == ("OPPOSED",)
    assert alice.rows("link", value="900", to_at=None)[0]["because"] == "change"


def test_numbers_of_two_records_are_not_joined_and_no_opposition_is_lost(alice: Bench) -> None:
    alice.open(BORIS)
    alice.event(adt(patient=(BORIS, NEW_IPP)))
    alice.event(adt(stated(IO), patient=(IPP,), links=False))
    assert (sent(alice, ALICE), sent(alice, BORIS)) == (("OPPOSED",), ())
    outcome = alice.event(changed(identity(NEW_IPP), IPP))
    assert outcome.codes == ("IDENTITY_CONFLICT",)
    assert patient_of(alice, NEW_IPP) == patient_of(alice, BORIS)
    assert sent(alice, ALICE) == sent(alice, BORIS, documents=(TWO,)) == ("OPPOSED",)
    assert ("identity.conflict", None) in tasks(alice)


def test_a_new_number_beside_an_ins_that_does_not_fit_it_keeps_the_opposition(alice: Bench) -> None:
    alice.event(adt(stated(IO), patient=(IPP,), links=False))
    alice.open(BORIS)
    outcome = alice.event(changed(identity(BORIS, NEW_IPP), IPP))
    assert outcome.codes == ("IDENTITY_CONFLICT",)
    assert patient_of(alice, NEW_IPP) == patient_of(alice, IPP) == patient_of(alice, ALICE)
    assert sent(alice, BORIS, NEW_IPP) == ("OPPOSED",)


# -- an INS taken back


TAKEN_BACK = {
    "erased": changed(identity(IPP), ALICE, withdrawn=True),
    "not qualified any more": changed(identity(IPP, status=("PROV",)), withdrawn=True),
    "the INS alone": changed(identity(status=("PROV",)), ALICE, withdrawn=True),
}


@pytest.mark.parametrize("how", TAKEN_BACK)
@pytest.mark.parametrize("said", SAID)
def test_an_ins_taken_back_cuts_the_establishment_off_and_keeps_what_was_said(alice: Bench, how: str, said: str) -> None:
    event, who = SAID[said]
    alice.event(qualified(identity(ALICE, THEIRS)), H2)
    alice.event(event, who)
    assert sent(alice, ALICE) == ("OPPOSED",)
    outcome = alice.event(TAKEN_BACK[how])
    assert (outcome.verdict, outcome.codes) == (Verdict.APPLIED, ())
    assert traced(alice, outcome.receipt) == ["identity.changed", "identity.cut"]
    page = alice.record()
    assert page is not None and page.state == "open" and set(page.identifiers) == {ALICE.key, THEIRS.key}
    assert sent(alice, ALICE) == ("INS_UNQUALIFIED",)
    assert sent(alice, ALICE, establishments=(H2,)) == (("OPPOSED",) if said == "of the patient" else ())
    assert [(row["value"], row["because"]) for row in alice.rows("link", to_at=None) if row["because"] == "cut"] == [
        ("100", "cut")
    ]
    # Linked again under VALI, everything binds as before.
    alice.event(qualified(identity(ALICE, IPP)))
    assert alice.tables()["suspended_link"] == []
    assert sent(alice, ALICE, documents=(TWO,)) == ("OPPOSED",)


def test_the_number_takes_along_what_was_said_to_its_establishment(alice: Bench) -> None:
    """Deposited for another patient under the number that was cut, after it was linked to that one."""
    alice.event(adt(stated(IO), patient=(ALICE,), links=False))
    alice.event(adt(stated(IO, H2), patient=(ALICE,), links=False), H2)
    alice.event(TAKEN_BACK["erased"])
    alice.event(opened_with(CARLA_TRAITS, NEW))
    alice.event(qualified(identity(NEW, IPP, traits=CARLA_TRAITS)))
    here, there = (alice.deposit(patient=(NEW,), establishments=(one,)) for one in (H1, H2))
    assert alice.apply(under(here, CARLA_TRAITS))[0].codes == ("OPPOSED",)
    assert alice.apply(under(there, CARLA_TRAITS))[0].codes == ()
    assert sent(alice, ALICE, establishments=(H2,)) == ("OPPOSED",)


def test_deposits_wait_for_vali_deletions_do_not(alice: Bench) -> None:
    assert sent(alice, ALICE, documents=(ONE,)) == ()
    alice.event(TAKEN_BACK["erased"])
    replacement = {"act": Act.REPLACE, "documents": (TWO,), "replaces": ("1.2.1",)}
    assert sent(alice, ALICE, **replacement) == sent(alice, ALICE, IPP, documents=(TWO,)) == ("INS_UNQUALIFIED",)
    deletion = alice.deposit(act=Act.DELETE, documents=(ONE,))
    assert alice.apply(deletion)[0].verdict is Verdict.DELETED
    assert [(kind, detail) for kind, detail in tasks(alice)] == [("identity.withdrawn", H1)]


@pytest.mark.parametrize(
    ("event", "establishment"),
    [
        (qualified(identity(ALICE, IPP), links=False), H1),
        (qualified(identity(ALICE, IPP, status=("PROV",))), H1),
        (qualified(identity(ALICE, THEIRS)), H2),
        (qualified(identity(IPP)), H1),
    ],
)
def test_only_the_same_establishment_under_vali_with_the_ins_is_taken_again(
    alice: Bench, event: object, establishment: str
) -> None:
    alice.event(TAKEN_BACK["erased"])
    alice.event(event, establishment)
    assert sent(alice, ALICE) == ("INS_UNQUALIFIED",)


def test_a_message_whose_number_never_changes_says_it_anew(alice: Bench) -> None:
    """Linked, taken back, linked by the same bytes, taken back by the same bytes: each counts (D-6)."""
    link, back = qualified(identity(ALICE, IPP)), TAKEN_BACK["erased"]
    for _ in range(2):
        for event, digest, codes in ((link, "l", ()), (back, "b", ("INS_UNQUALIFIED",))):
            taken = reception(alice.receipt(), alice.clock.now(), message_id="015", digest=digest, message_type="ADT^A47")
            assert alice.submit(taken, event).verdict is Verdict.APPLIED
            assert sent(alice, ALICE, documents=((f"1.2.{taken.receipt}", b"x"),)) == codes
    again = reception(alice.receipt(), alice.clock.now(), message_id="015", digest="l", message_type="ADT^A31")
    assert alice.submit(again, link).verdict is Verdict.APPLIED
    once_more = reception(alice.receipt(), alice.clock.now(), message_id="015", digest="l", message_type="ADT^A31")
    assert alice.submit(once_more, link).verdict is Verdict.DUPLICATE


def test_an_ins_taken_back_before_anybody_knew_of_it(bench: Bench) -> None:
    bench.event(changed(identity(IPP), ALICE, withdrawn=True))
    bench.event(opened_with(ALICE_TRAITS))
    assert sent(bench, ALICE) == ("INS_UNQUALIFIED",)
    assert sent(bench, ALICE, establishments=(H2,)) == ()
    bench.event(qualified(identity(ALICE, IPP)))
    assert sent(bench, ALICE, documents=(TWO,)) == ()


def test_another_hospital_s_number_of_the_same_prefix_is_not_the_establishment_s(alice: Bench) -> None:
    near = local(f"{H1}0", "55")
    alice.event(qualified(identity(ALICE, near)), f"{H1}0")
    alice.event(TAKEN_BACK["erased"])
    assert patient_of(alice, near) == patient_of(alice, ALICE)


# -- what an A47 states itself


@pytest.mark.parametrize("former", [(ALICE,), (IPP,)])
def test_an_opposition_in_it_binds_who_counts_from_now_on(alice: Bench, former: tuple[PatientId, ...]) -> None:
    outcome = alice.event(changed(identity(NEW if former == (ALICE,) else ALICE, NEW_IPP), *former, statements=(stated(IO),)))
    assert outcome.statement is not None
    for patient in ((ALICE,), (ALICE, NEW_IPP), (ALICE, IPP)):
        assert sent(alice, *patient) == ("OPPOSED",)


def test_an_opposition_in_one_that_takes_an_ins_back(alice: Bench) -> None:
    assert sent(alice, ALICE, documents=(ONE,)) == ()
    alice.event(changed(identity(IPP), ALICE, withdrawn=True, statements=(stated(IO),)))
    alice.event(qualified(identity(ALICE, IPP)))
    assert sent(alice, ALICE, documents=(TWO,)) == ("OPPOSED",)
    page = alice.record()
    assert page is not None and [line.withheld for line in page.documents] == [True]


@pytest.mark.parametrize("withdrawn", [True, False])
def test_what_came_by_a_number_that_leaves_lifts_nothing_any_more(two: Bench, *, withdrawn: bool) -> None:
    """The number was another person's: while it named this one it lifted an opposition, and the patient never said so."""
    third = local(H1, "300")
    two.event(adt(stated(IO, None, at="20260308"), patient=(ALICE,)))
    lifting = two.event(adt(stated(INO, None, at="20260309"), patient=(third,), links=False)).statement
    two.event(adt(patient=(ALICE, third)))
    assert two.send(establishments=(H2,)).verdict is Verdict.STORED
    now = (third,) if withdrawn else (third, BORIS)
    outcome = two.event(changed(PatientIdentity(identifiers=now), ALICE, withdrawn=withdrawn))
    assert two.send(documents=(("1.2.4", b"quatre"),), establishments=(H2,)).codes == ("OPPOSED",)
    asked = two.rows("task", kind="rights.ask_again")
    assert [(row["receipt"], row["detail"]) for row in asked] == [(outcome.receipt, lifting)]


def test_what_came_by_the_ins_as_well_goes_on_lifting(two: Bench) -> None:
    third = local(H1, "300")
    two.event(adt(stated(IO, None, at="20260308"), patient=(ALICE,)))
    two.event(adt(stated(INO, None, at="20260309"), patient=(ALICE, third)))
    two.event(changed(PatientIdentity(identifiers=(third,)), ALICE, withdrawn=True))
    assert two.send(establishments=(H2,)).verdict is Verdict.STORED
