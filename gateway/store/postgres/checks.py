"""What must always be so, and what was acknowledged: asked of a database by a session that only reads."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from gateway.store.answers import Acknowledged
from gateway.store.checks import Bounds
from gateway.store.postgres.session import Session


class Checks:
    """The part of the reader that checks."""

    def _reading(self) -> AbstractContextManager[Session]:
        raise NotImplementedError

    def stored_against_an_opposition(self) -> list[tuple[str, str]]:
        """Return what the DPO asks for; see `Reader`."""
        raise NotImplementedError

    def violations(self, name: str, bounds: Bounds) -> list[str]:
        """Return what breaks an invariant; see `Reader.violations`."""
        if name == "against_opposition":
            return sorted(f"{receipt} ({statement})" for receipt, statement in self.stored_against_an_opposition())
        with self._reading() as session:
            # A large store takes longer to go through than a deposit may.
            session.run("no_time_limit")
            instants = {"receipts_since": bounds.receipts_since, "parked_since": bounds.parked_since}
            return [str(row[0]) for row in session.all(f"check_{name}", instants)]

    def known_receipts(self, receipts: Sequence[str]) -> set[str]:
        """Return those of the receipts that are there."""
        with self._reading() as session:
            return {row[0] for row in session.all("known_receipts", (list(receipts),))}

    def came_again(self, answers: Sequence[Acknowledged]) -> set[str]:
        """Return the receipts of those whose message came again later and was taken; see `Reader.came_again`."""
        sent = [(a.receipt, a.establishment, a.application, a.message_id, a.digest, a.received_at) for a in answers if a.sent]
        typed = [(a.receipt, a.digest, a.received_at) for a in answers if not a.sent]
        with self._reading() as session:
            return {
                row[0]
                for name, asked in (("came_again", sent), ("commanded_again", typed))
                if asked
                for row in session.all(name, [list(column) for column in zip(*asked, strict=True)])
            }
