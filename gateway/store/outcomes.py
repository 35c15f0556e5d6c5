"""How an act on a file ends, where nothing but its verdict and one code is to be said."""

from gateway.model.outcome import Outcome
from gateway.model.problem import Problem
from gateway.model.submission import Reception
from gateway.model.verdict import Verdict
from gateway.store.transaction import Transaction


def refused(tx: Transaction, reception: Reception, code: str, rule: str, *, statement: str | None = None) -> Outcome:
    """Return the outcome of an event that changed nothing."""
    return Outcome(
        verdict=Verdict.REFUSED,
        receipt=reception.receipt,
        problems=(Problem(code=code),),
        committed_at=tx.at,
        rule=rule,
        statement=statement,
    )


def unchanged(tx: Transaction, reception: Reception, rule: str, problems: tuple[Problem, ...] = ()) -> Outcome:
    """Return the outcome of an event that asks for what is so already."""
    return Outcome(verdict=Verdict.UNCHANGED, receipt=reception.receipt, problems=problems, committed_at=tx.at, rule=rule)


def applied(tx: Transaction, reception: Reception, rule: str, problems: tuple[Problem, ...] = ()) -> Outcome:
    """Return the outcome of an event that changed the record."""
    return Outcome(verdict=Verdict.APPLIED, receipt=reception.receipt, problems=problems, committed_at=tx.at, rule=rule)


def signers(signed_by: tuple[str, ...]) -> tuple[str, ...]:
    """Return who signed, each person once: blanks and case make no second person."""
    return tuple({" ".join(name.split()).casefold(): " ".join(name.split()) for name in signed_by if name.strip()}.values())
