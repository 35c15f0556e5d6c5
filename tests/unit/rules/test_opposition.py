from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from gateway.model.code import Identifier
from gateway.model.event import Position, Right, Scope, Side, Statement
from gateway.model.problems import CODES
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.model.when import When
from gateway.rules import opposition
from gateway.rules.opposition import Held, Subject, decide, in_force, opposing

NOW = datetime(2026, 3, 25, 12, tzinfo=UTC)
CR = ("11502-2", "11")


def stated(  # a statement, committed
    who: str,
    what: str,
    date: str | None = None,
    *,
    received: str | None = None,
    scope: Scope | None = None,
    value: str | None = None,
    right: Right = Right.FEEDING,
    visit: str | None = None,
    id: str | None = None,  # noqa: A002
) -> Held:
    side = Side.PATIENT if who == "P" else Side.ESTABLISHMENT
    if scope is None:
        scope, value = (Scope.ALL, None) if side is Side.PATIENT else (Scope.ESTABLISHMENT, who)
    collected_at = When.read(date) if date else None
    at = When.read(received).start if received else min(collected_at.end, NOW) if collected_at else NOW
    return Held(
        id=id or f"{who}-{what}-{scope}-{value}-{date}",
        statement=Statement(
            right=right,
            position=Position.OPPOSES if what in {"IO", "INC"} else Position.ALLOWS,
            side=side,
            collected_by="desk" if who == "P" else who,
            scope=scope,
            scope_value=value,
            collected_at=collected_at,
            visit=Identifier(value=visit) if visit else None,
        ),
        received_at=at,
        committed_at=at,
        sequence=0,
    )


@dataclass
class Case:
    held: tuple[Held, ...]
    by: str = "H1"
    code: tuple[str, str | None] = CR
    act: Act = Act.ADD
    now: datetime = NOW
    opposed: str | None = None  # id of the statement named, None: passes
    rule: str = "O-2"
    also: tuple[str, ...] = field(default=())  # further establishments named by the deposit
    kinds: tuple[str, ...] = ()
    professionals: tuple[str, ...] = ()
    by_patient: bool = False

    @property
    def subject(self) -> Subject:
        return Subject(
            establishments=(self.by, *self.also),
            source_kinds=self.kinds,
            professionals=self.professionals,
            type_code=self.code[0],
            class_code=self.code[1],
            by_patient=self.by_patient,
        )


IO = stated("H1", "IO", "20260310", id="io")
P_ALL = stated("P", "IO", "20260201", id="p-all")
P_H1 = stated("P", "IO", "20260201", scope=Scope.ESTABLISHMENT, value="H1", id="p-h1")
P_ALLOWS_H1 = stated("P", "INO", "20260301", scope=Scope.ESTABLISHMENT, value="H1")
CLASS_60 = stated("P", "IO", "20260201", scope=Scope.CLASS, value="60", id="p-60")
LABORATORIES = stated("P", "IO", "20260201", scope=Scope.SOURCE_KIND, value="laboratory", id="p-kind")
SURGEON = stated("P", "IO", "20260201", scope=Scope.PROFESSIONAL, value="810001234567", id="p-pro")
SITE = stated("H1", "IO", "20260310", scope=Scope.ESTABLISHMENT, value="H1/990000026", id="site")
GENETICS = stated("P", "IO", "20260201", scope=Scope.TYPE, value="51969-4", id="p-type")

# § 2.4, row by row, in the page's words.
WORKED = {
    "none, or ZFA-9 NA | H1, any | stored": Case(()),
    "IO H1 10/03 | H1 12/03 | OPPOSED": Case((IO,), opposed="io"),
    "IO H1 10/03 | H2 12/03 | stored": Case((IO,), by="H2"),
    "IO H1 10/03, INO H1 11/03 arrives first | H1 | IO goes to history: stored": Case(
        (stated("H1", "INO", "20260311", received="20260311090000+0100"), stated("H1", "IO", "20260310", received="20260312")),
    ),
    "INO and IO H1, both 10/03, no hour | H1 | OPPOSED (O-4)": Case(
        (stated("H1", "INO", "20260310"), IO), opposed="io", rule="O-4"
    ),
    "P all 01/02, INO H1 10/03 | H1 | OPPOSED (O-2)": Case((P_ALL, stated("H1", "INO", "20260310")), opposed="p-all"),
    "P source H1 01/02, IO H1 15/02, P allow H1 01/03 | H1 | stored (O-2)": Case(
        (P_H1, stated("H1", "IO", "20260215"), P_ALLOWS_H1)
    ),
    "P all 01/02, P allow H1 01/03 | H1 | OPPOSED (another scope: all is still in force)": Case(
        (P_ALL, P_ALLOWS_H1), opposed="p-all"
    ),
    "P class 60 (insurer history) | insurer feed | OPPOSED": Case(
        (CLASS_60,), by="insurer", code=("CNAM-HR", "60"), opposed="p-60"
    ),
    "P class 60 (insurer history) | laboratory | stored": Case((CLASS_60,), by="lab", code=("11502-2", "11")),
    "P type 51969-4 (genetics) | H1 CR 51969-4 | OPPOSED": Case((GENETICS,), code=("51969-4", "11"), opposed="p-type"),
    "P type 51969-4 (genetics) | H1 CR 11502-2 | stored": Case((GENETICS,)),
    "IO H1 undated, EVN-2 10/03; deposit queued 09/03, taken 11/03 | H1 | OPPOSED (O-11)": Case(
        (stated("H1", "IO", "20260310080000+0100", id="io"),), now=datetime(2026, 3, 11, tzinfo=UTC), opposed="io"
    ),
    "deposit refused 11/03, INO 20/03, same message replayed 21/03 | H1, 11/03 | OPPOSED": Case(
        (IO,), now=datetime(2026, 3, 11, tzinfo=UTC), opposed="io"
    ),
    "deposit refused 11/03, INO 20/03, same message replayed 21/03 | H1 | stored (O-12)": Case(
        (IO, stated("H1", "INO", "20260320")), now=datetime(2026, 3, 21, tzinfo=UTC)
    ),
    "IO through any source of an EJ or of one of its EGs; deposit signed by the EJ only | OPPOSED (O-10)": Case(
        (IO,), by="lab", also=("H1",), opposed="io"
    ),
    "P all | H1 delete of its own document | done (O-13)": Case((P_ALL,), act=Act.DELETE, rule="O-13"),
}

MORE = {
    "a replacement is opposed as an addition is": Case((IO,), act=Act.REPLACE, opposed="io"),
    "equal instants, to the second: the opposition wins": Case(
        (stated("H1", "INO", "20260310101500+0100"), stated("H1", "IO", "20260310101500+0100", id="io")), opposed="io", rule="O-4"
    ),
    "an allowance one second later lifts": Case(
        (stated("H1", "IO", "20260310101500+0100"), stated("H1", "INO", "20260310101501+0100"))
    ),
    "an opposition of a month without a day outlasts an allowance in that month": Case(
        (stated("H1", "IO", "202602", id="io"), stated("H1", "INO", "20260215")), opposed="io", rule="O-4"
    ),
    "a year typed 2062 is in force from its reception": Case(
        (stated("H1", "IO", "20620310", received="20260310100000+0100", id="io"),), opposed="io", rule="O-5"
    ),
    "a year typed 2062 can be lifted the day after": Case(
        (stated("H1", "IO", "20620310", received="20260310100000+0100"), stated("H1", "INO", "20260311")),
    ),
    "an allowance dated ahead waits": Case((IO, stated("H1", "INO", "20260326", received="20260312")), opposed="io"),
    "an allowance dated ahead lifts on its day, 00:00 in Paris": Case(
        (IO, stated("H1", "INO", "20260326", received="20260312")), now=datetime(2026, 3, 25, 23, tzinfo=UTC)
    ),
    "an undated opposition counts as of its reception": Case(
        (stated("H1", "IO", received="20260320", id="io"), stated("H1", "INO", "20260312")), opposed="io"
    ),
    "an undated allowance counts as of its reception": Case((IO, stated("H1", "INO", received="20260320"))),
    "an opposition in force from its commit though another machine's clock is ahead": Case(
        (stated("H1", "IO", received="20260326", id="io"),), opposed="io"
    ),
    "the patient's allowance to an establishment does not lift its later opposition": Case((P_ALLOWS_H1, IO), opposed="io"),
    "the patient's allowance to all lifts no establishment's opposition": Case(
        (IO, stated("P", "INO", "20260320")), opposed="io"
    ),
    "the patient's allowance to H2 does not lift H1's opposition": Case(
        (IO, stated("P", "INO", "20260320", scope=Scope.ESTABLISHMENT, value="H2")), opposed="io"
    ),
    "the patient's allowance to H1 does not lift H1's opposition to one type": Case(
        (
            stated("H1", "IO", "20260201", scope=Scope.TYPE, value="51969-4", id="h1-type"),
            P_ALLOWS_H1,
        ),
        code=("51969-4", None),
        opposed="h1-type",
    ),
    "an establishment's opposition to all binds its own deposits": Case(
        (stated("H1", "IO", "20260310", scope=Scope.ALL, id="h1-all"),), opposed="h1-all"
    ),
    "an establishment's opposition to all binds no other": Case((stated("H1", "IO", "20260310", scope=Scope.ALL),), by="H2"),
    "an establishment states nothing for another": Case(
        (stated("H1", "IO", "20260310", scope=Scope.ESTABLISHMENT, value="H2"),), by="H2"
    ),
    "H2's allowance does not lift H1's opposition": Case((IO, stated("H2", "INO", "20260320")), opposed="io"),
    "a document without class is not of the opposed class": Case((CLASS_60,), code=("11502-2", None)),
    "a refusal of consultation refuses no deposit": Case((stated("H1", "INC", "20260310", right=Right.CONSULTATION),)),
    "of several, the patient's is named": Case((IO, P_H1), opposed="p-h1"),
    "of the patient's, the widest is named": Case((GENETICS, P_H1, P_ALL), code=("51969-4", "11"), opposed="p-all"),
    "the patient's opposition to a kind of source": Case((LABORATORIES,), kinds=("hospital", "laboratory"), opposed="p-kind"),
    "another kind of source is not bound": Case((LABORATORIES,), kinds=("hospital",)),
    "the patient's opposition to a professional": Case((SURGEON,), professionals=("1", "810001234567"), opposed="p-pro"),
    "another professional is not bound": Case((SURGEON,), professionals=("0751234567",)),
    "an establishment's opposition to a professional binds its own deposits": Case(
        (stated("H1", "IO", "20260310", scope=Scope.PROFESSIONAL, value="810001234567"),),
        by="H2",
        professionals=("810001234567",),
    ),
    "a kind is wider than an establishment": Case((P_H1, LABORATORIES), kinds=("laboratory",), opposed="p-kind"),
    "an establishment is wider than a professional": Case((SURGEON, P_H1), professionals=("810001234567",), opposed="p-h1"),
    "a professional is wider than a class": Case(
        (CLASS_60, SURGEON), professionals=("810001234567",), code=("1", "60"), opposed="p-pro"
    ),
    "a class is wider than a type": Case((GENETICS, CLASS_60), code=("51969-4", "60"), opposed="p-60"),
    "an allowance to a kind lifts the opposition to it only": Case(
        (P_ALL, LABORATORIES, stated("P", "INO", "20260310", scope=Scope.SOURCE_KIND, value="laboratory")),
        kinds=("laboratory",),
        opposed="p-all",
    ),
    "the patient's own document passes all": Case((P_ALL, IO, P_H1), kinds=("patient",), by_patient=True, rule="O-14"),
    "the patient's own document is deleted as any other": Case(
        (P_ALL,), kinds=("patient",), by_patient=True, act=Act.DELETE, rule="O-13"
    ),
    "what the patient wrote passes from the patient's own door only": Case((P_ALL,), by_patient=True, opposed="p-all"),
    "a hospital's door of the patients is the hospital's": Case(
        (P_ALL,), kinds=("patient", "hospital"), by_patient=True, opposed="p-all"
    ),
    "the patient's own door passes nothing that a professional wrote": Case((P_ALL,), kinds=("patient",), opposed="p-all"),
    "a site's opposition binds the site": Case((SITE,), also=("H1/990000026",), opposed="site"),
    "a site's opposition binds no other site": Case((SITE,), also=("H1/990000034",)),
    "the establishment's allowance does not lift its site's opposition": Case(
        (SITE, stated("H1", "INO", "20260320")), also=("H1/990000026",), opposed="site"
    ),
    "the patient who allows the establishment lifts its site's opposition": Case(
        (SITE, stated("P", "INO", "20260320", scope=Scope.ESTABLISHMENT, value="H1")), also=("H1/990000026",)
    ),
    "the patient who allows the site lifts its opposition": Case(
        (SITE, stated("P", "INO", "20260320", scope=Scope.ESTABLISHMENT, value="H1/990000026")), also=("H1/990000026",)
    ),
    "the patient who allows another site lifts nothing": Case(
        (SITE, stated("P", "INO", "20260320", scope=Scope.ESTABLISHMENT, value="H1/990000034")),
        also=("H1/990000026",),
        opposed="site",
    ),
    "of one width, the latest is named": Case((IO, stated("H2", "IO", "20260312", id="io-2")), also=("H2",), opposed="io-2"),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in (WORKED | MORE).items()])
def test_a_deposit_is_judged_by_what_is_in_force(case):
    decision = decide(case.act, case.held, case.now, case.subject)
    assert decision.statement == case.opposed
    assert decision.rule == case.rule
    assert decision.problem == ("OPPOSED" if case.opposed else None)
    expected = Verdict.REFUSED if case.opposed else Verdict.DELETED if case.act is Act.DELETE else Verdict.STORED
    assert decision.verdict is expected
    assert decision.because


def test_opposed_is_a_row_of_the_table_of_problems():
    assert "OPPOSED" in CODES


def test_a_document_of_an_opposed_type_is_found():
    assert opposing((GENETICS,), NOW, Subject(establishments=("H1",), type_code="51969-4")) is GENETICS


def test_nothing_comes_back_when_the_patient_opposes_again_and_lifts_again():
    history = (
        stated("H1", "IO", "20260215"),
        P_ALLOWS_H1,
        stated("P", "IO", "20260305", scope=Scope.ESTABLISHMENT, value="H1", id="again"),
    )
    assert [held.id for held in in_force(history, NOW)] == ["again"]
    lifted = (*history, stated("P", "INO", "20260306", scope=Scope.ESTABLISHMENT, value="H1"))
    assert in_force(lifted, NOW) == ()


@pytest.mark.parametrize(
    ("allowed", "received", "opposed"),
    [
        ("20260325100000+0000", "20260325080000+0000", True),  # earlier as written and as received: our clock was slow
        ("20260325100000+0000", "20260325084000+0000", False),  # received after it
        ("20260325103000+0000", "20260325080000+0000", True),  # written for the same instant: a tie keeps the opposition
        ("20260325103001+0000", "20260325080000+0000", False),  # written for later
        ("20260325082000+0000", "20260325084000+0000", True),  # received after it, dated before it counts
    ],
)
def test_an_opposition_dated_ahead_gives_way_to_what_was_said_later_only(allowed: str, received: str, opposed: bool):
    """It is ordered at its reception, and an allowance dated ahead waits for its date: that alone makes it no later word."""
    io = stated("H1", "IO", "20260325103000+0000", received="20260325083000+0000", id="io")
    ino = stated("H1", "INO", allowed, received=received, id="ino")
    found = in_force((io, ino), datetime(2026, 3, 25, 11, tzinfo=UTC))
    assert found == ((io,) if opposed else ())
    assert in_force((ino, io), datetime(2026, 3, 25, 11, tzinfo=UTC)) == found


def test_the_patients_word_lifts_an_opposition_dated_ahead_by_the_same_measure():
    io = stated("H1", "IO", "20260325103000+0000", received="20260325083000+0000", id="io")
    early = stated("P", "INO", "20260325100000+0000", received="20260325080000+0000", scope=Scope.ESTABLISHMENT, value="H1")
    assert in_force((io, early), NOW) == (io,)
    late = stated("P", "INO", "20260325100000+0000", received="20260325090000+0000", scope=Scope.ESTABLISHMENT, value="H1")
    assert in_force((io, late), NOW) == ()


def test_consultation_is_refused_per_visit_and_without_visit_until_the_next_consent():
    refused = stated("H1", "INC", "20260310", right=Right.CONSULTATION, visit="V1", id="v1")
    general = stated("H1", "INC", "20260310", right=Right.CONSULTATION, id="general")
    consent = stated("H1", "IC", "20260312", right=Right.CONSULTATION, visit="V2")
    elsewhere = stated("H2", "IC", "20260312", right=Right.CONSULTATION)
    assert in_force((refused, general, elsewhere), NOW) == (refused, general)  # by id, all else equal
    assert in_force((refused, general, consent), NOW) == (refused,)
    again = stated("H1", "IC", "20260313", right=Right.CONSULTATION, visit="V1")
    assert in_force((refused, general, consent, again), NOW) == ()


def test_an_allowance_to_feed_does_not_consent_to_consultation():
    refused = stated("H1", "INC", "20260310", right=Right.CONSULTATION)
    assert in_force((refused, stated("H1", "INO", "20260312")), NOW) == (refused,)


def test_a_day_ends_at_midnight_in_paris():
    # Received later, so that its precision and not its reception orders it.
    opposition = stated("H1", "IO", "20260310", received="20260320")
    before = stated("H1", "INO", "20260310235959+0100")
    at = stated("H1", "INO", "20260311000000+0100")
    assert in_force((opposition, before), NOW) == (opposition,)
    assert in_force((opposition, at), NOW) == ()
    assert in_force((opposition,), NOW - timedelta(days=30)) == (opposition,)


def test_many_statements_of_one_patient_are_each_placed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that repeats itself at every visit: what is compared with each other is not computed for each pair."""
    held = tuple(
        stated("H1", what, f"202601{1 + n // 24:02}{n % 24:02}", id=f"{what}{n}") for n in range(120) for what in ("IO", "INO")
    )
    placed: list[str] = []
    keyed = opposition.order_key

    def counted(each: Held) -> tuple[datetime, bool, datetime, str]:
        placed.append(each.id)
        return keyed(each)

    monkeypatch.setattr(opposition, "order_key", counted)
    assert [each.id for each in in_force(held, NOW)] == ["IO119"]
    assert len(placed) <= len(held) + 2
