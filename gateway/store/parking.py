"""Deposits that could not be applied for a reason that is not their sender's (D-7, D-13)."""

from typing import Final

import msgspec

from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from gateway.model.problem import Problem
from gateway.model.submission import Deposit
from gateway.model.verdict import Verdict
from gateway.store.deposits import plan, settle
from gateway.store.events import shown_identifier
from gateway.store.port import Parked
from gateway.store.rows import ReceiptRow, TraceRow
from gateway.store.transaction import Transaction

#: What a person must look at: a parked deposit that an opposition may concern, and that could not be judged.
UNJUDGED: Final = "parked.unjudged"


def park(tx: Transaction, parked: Parked) -> Outcome:
    """Keep the sealed deposit and say so; a receipt that was decided keeps its outcome."""
    receipt = parked.reception.receipt
    decided = tx.outcome_of(receipt)
    if decided is not None:
        return decided
    outcome = Outcome(
        verdict=Verdict.PARKED, receipt=receipt, problems=(Problem(code=parked.code),), committed_at=tx.at, rule="D-7"
    )
    identifiers = tuple(PatientId(authority=authority, value=value) for authority, value in parked.identifiers)
    tx.write_parked(
        (
            receipt,
            parked.reception.source,
            parked.code,
            parked.place,
            msgspec.json.encode(parked.identifiers).decode(),
            parked.sealed,
        ),
        parked.identifiers,
    )
    tx.write_receipt(ReceiptRow(reception=parked.reception, outcome=outcome, patient=shown_identifier(identifiers)))
    tx.write_trace(
        TraceRow(
            actor=parked.reception.source, action="deposit.parked", receipt=receipt, verdict=Verdict.PARKED.value, rule="D-7"
        )
    )
    return outcome


def review(tx: Transaction, deposit: Deposit) -> Outcome | None:
    """
    Judge a parked deposit again, by the plan that a deposit follows.

    Args:
        tx: A transaction that holds the locks of a deposit.
        deposit: As it was unsealed.

    Returns:
        The refusal, where it is refused now, for whatever reason: its sealed bytes are erased, and receipt, refusal, trace and
        what is to be said to the sender are written with that. None where it stays parked, or was judged meanwhile.

    Source: D-7; R-13.
    """
    receipt = deposit.reception.receipt
    if not tx.claim_review(receipt):
        return None
    planned = plan(tx, deposit)
    if not planned.decision.decision.refuses:
        return None
    tx.forget_parked(receipt)
    return settle(tx, deposit, planned)


def set_aside(tx: Transaction, receipt: str) -> None:
    """Leave a parked deposit that cannot be judged to a person; the next change of its patient's rights asks again."""
    if tx.claim_review(receipt):
        tx.raise_task_once(UNJUDGED, receipt)
