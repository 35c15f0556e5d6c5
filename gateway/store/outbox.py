"""What is still to be said to a sender: written with the decision that it tells of."""

from typing import Final

from gateway.model.submission import Deposit
from gateway.store.transaction import Transaction

#: The business acknowledgement that a submission asks for by ACK_RECEPTION.
ACKNOWLEDGEMENT: Final = "acknowledgement"


def promise_acknowledgement(tx: Transaction, deposit: Deposit) -> None:
    """Leave the acknowledgement of a decided deposit in the outbox, where its sender asks for one."""
    if deposit.submission.flags.ack_reception:
        tx.promise(ACKNOWLEDGEMENT, deposit.reception)
