"""Visits on PostgreSQL: the last word on each (O-16); written at once, for only events change it."""

from collections.abc import Iterable

from gateway.rules import stays
from gateway.rules.stays import Said
from gateway.store import columns
from gateway.store.postgres.reading import Rights
from gateway.store.postgres.session import Session
from gateway.store.rows import instant_text


class Stays:
    """What `gateway.store.transaction_stays` asks for."""

    _session: Session
    _rights: Rights

    def stays_of(self, patients: Iterable[int]) -> tuple[Said, ...]:
        """Return the last word on every visit of the patients."""
        asked = sorted(self._rights.require_lock(patient) for patient in patients)
        if not asked:
            return ()
        return tuple(stays.latest(columns.stay(row) for row in self._session.all("stays_of_patients", (asked,))).values())

    def keep_stay(self, patient: int, said: Said) -> None:
        """Keep what was said of a visit, unless what is known of it has the last word."""
        self._session.run(
            "keep_stay",
            (
                self._rights.require_lock(patient),
                *said.visit,
                said.state.value,
                instant_text(said.ordered_at),
                instant_text(said.received_at),
                said.receipt,
            ),
        )

    def carry_stays(self, patient: int, into: int) -> None:
        """Let what is known of a patient's visits count for another one too: the two are one person, or were."""
        self._session.run("carry_stays", (self._rights.require_lock(into), self._rights.require_lock(patient)))
