"""What must hold at the end of a run: the promises of docs/proof.md, each checked against the simulation's own log of commits."""

from datetime import datetime

from gateway.model.outcome import Outcome
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from tests.harness.merges import Merging
from tests.harness.reference import Expected, Reference
from tests.simulation.store import Committed, InlineStore, SimClock
from tests.simulation.world import World
from tests.strategies.records import ALICE, START

_ADDS = (Verdict.STORED, Verdict.REPLACED)
_ENDS = {*Verdict} - {Verdict.REJECTED, Verdict.IGNORED}


def breaches(world: World) -> list[str]:
    """Return every promise that was broken, in words and receipts."""
    return [
        *world.broker.breaches,
        *_lost(world),
        *_out_of_order(world),
        *_against_the_reference(world),
        *_against_a_clean_run(world),
    ]


def firsts(world: World) -> list[tuple[Committed, str]]:
    """
    Each decision that counts, alone, in the order of commits, with its receipt.

    Of a receipt the first one, and one more where that was to park it; and every review of what is parked.
    """
    known: dict[str, Verdict] = {}
    found = []
    for commit in world.store.log:
        for asked, outcome in commit.each:
            receipt = _receipt(commit.kind, asked)
            again = receipt in known and (commit.kind == "park" or known[receipt] is not Verdict.PARKED)
            if commit.kind in {"review", "set_aside"} or not again:
                found.append((Committed(commit.kind, asked, commit.at, [outcome]), receipt))
            if outcome is not None:
                known[receipt] = outcome.verdict
    return found


def _lost(world: World) -> list[str]:
    """L1: what was answered AA ends in exactly one way, and whoever asks again hears the same."""
    ends = dict(world.store.rows("SELECT id, verdict FROM receipt"))
    parked = {receipt for (receipt,) in world.store.rows("SELECT receipt FROM parked")}
    found = [
        f"L1 {receipt} ({message}) was acknowledged and is nowhere"
        for receipt, message in world.acknowledged.items()
        if ends.get(receipt) not in _ENDS
    ]
    found += [f"L1 {r} is parked and nothing is kept of it" for r, v in ends.items() if v == "parked" and r not in parked]
    found += [f"L1 {r} is parked and decided" for r in parked if ends.get(r) != "parked"]
    told: dict[str, Verdict] = {}
    for commit in world.store.log:
        for asked, outcome in commit.each:
            if outcome is None:
                continue
            receipt = _receipt(commit.kind, asked)
            before = told.setdefault(receipt, outcome.verdict)
            if before not in {outcome.verdict, Verdict.PARKED}:
                found.append(f"L2 {receipt} was {before} and then {outcome.verdict}")
            told[receipt] = outcome.verdict
    return found


def _out_of_order(world: World) -> list[str]:
    """L3: in a lane deposits are decided in the order in which they were queued, whatever dies or freezes."""
    places = {receipt: number for number, (_, receipt) in reversed(list(enumerate(firsts(world))))}
    found = []
    for name, queued in world.broker.lanes.items():
        receipts = list(dict.fromkeys(each.deposit.reception.receipt for each in queued))
        order = [receipt for receipt in sorted(receipts, key=lambda each: places.get(each, 0)) if receipt in places]
        if order != [receipt for receipt in receipts if receipt in places]:
            found.append(f"L3 {name}: queued {receipts}, decided {order}")
    return found


def _against_the_reference(world: World) -> list[str]:
    """L2, L4: each decision is the one that the reference makes of the commits before it, and so is every document."""
    reference, found = Merging(ALICE.authority), []
    for commit, receipt in firsts(world):
        told = _told(commit.outcomes[0])
        if commit.kind == "apply" and told is not None and told.verdict in _ADDS:
            adds = commit.asked.submission.act is not Act.DELETE
            if adds and reference.opposed(commit.asked, datetime.fromisoformat(commit.at)):
                found.append(f"L4 {receipt} was {told.verdict} against an opposition")
        expected = _expected(reference, commit)
        if told != expected:
            found.append(f"L2 {commit.kind} {receipt} was {told}, expected {expected}")
    for (authority, value), person in reference.person.items():
        text = (
            "SELECT unique_id, state FROM document WHERE patient ="
            f" (SELECT patient FROM identifier WHERE authority = '{authority}' AND value = '{value}')"
        )
        rows = dict(world.store.rows(text))
        if rows != person.documents.states():
            found.append(f"L2 {value}: {rows}, expected {person.documents.states()}")
    found += [f"L4 the DPO's query finds {row}" for row in world.store.against()]
    return found + _kept_against(world, reference)


def _expected(reference: Reference, commit: Committed) -> Expected | None:
    now = datetime.fromisoformat(commit.at)
    match commit.kind:
        case "apply":
            return reference.deposit(commit.asked, now)
        case "park":
            return reference.park(commit.asked.reception.receipt)
        case "review":
            return reference.review(commit.asked, now)
        case "submit":
            return reference.event(*commit.asked, now)
        case _:
            return None


def _kept_against(world: World, reference: Reference) -> list[str]:
    """L5: nothing stays parked that an opposition refuses (D-7); an allowance that a clock took back asks nobody again."""
    if world.faults["jump"]:
        return []
    now = world.clock.now()
    parked = {receipt for (receipt,) in world.store.rows("SELECT receipt FROM parked")}
    queued = {each.deposit.reception.receipt: each.deposit for lane in world.broker.lanes.values() for each in lane}
    opposed = Expected(Verdict.REFUSED, "OPPOSED")
    return [f"L5 {each} is parked and opposed" for each in sorted(parked) if reference.reviewed(queued[each], now) == opposed]


def _against_a_clean_run(world: World) -> list[str]:
    """L2: the rows are those of one by one, without a fault, in the order of the commits."""
    clock = SimClock(START)
    clean = InlineStore(clock)
    try:
        for commit, _ in firsts(world):
            clock.held = datetime.fromisoformat(commit.at)
            match commit.kind:
                case "apply":
                    clean.apply([commit.asked])
                case "submit":
                    clean.submit(*commit.asked, clock.held)
                case kind:
                    getattr(clean, kind)(commit.asked)
        mine, its = world.store.tables(), clean.tables()
        return [
            f"L2 table {name}: {[row for row in mine[name] if row not in its[name]]}, clean:"
            f" {[row for row in its[name] if row not in mine[name]]}"
            for name in mine
            if mine[name] != its[name]
        ]
    finally:
        clean.close()


def _receipt(kind: str, asked) -> str:
    match kind:
        case "submit":
            return asked[0].receipt
        case "set_aside":
            return asked
        case _:
            return asked.reception.receipt


def _told(outcome: Outcome | None) -> Expected | None:
    if outcome is None:
        return None
    return Expected(outcome.verdict, outcome.problems[0].code if outcome.verdict is Verdict.REFUSED else None)
