"""Visits on SQLite: the last word on each (O-16)."""

from collections.abc import Iterable
from typing import Final

from gateway.rules import stays
from gateway.rules.stays import Said
from gateway.store import columns
from gateway.store.rows import instant_text
from gateway.store.sqlite.base import Base

#: The order of `rules.stays.later`.
_UNLESS_LATER: Final = (
    " ON CONFLICT (patient, establishment, visit_authority, visit_value) DO UPDATE SET state = excluded.state,"
    " ordered_at = excluded.ordered_at, received_at = excluded.received_at, receipt = excluded.receipt"
    " WHERE (excluded.ordered_at, excluded.received_at, excluded.state = 'open', excluded.receipt)"
    " > (stay.ordered_at, stay.received_at, stay.state = 'open', stay.receipt)"
)


class Stays(Base):
    """What `gateway.store.transaction_stays` asks for."""

    def stays_of(self, patients: Iterable[int]) -> tuple[Said, ...]:
        """Return the last word on every visit of the patients."""
        found = (
            columns.stay(row)
            for patient in patients
            for row in self._all(
                "SELECT establishment, visit_authority, visit_value, state, ordered_at, received_at, receipt FROM stay"
                " WHERE patient = ? ORDER BY establishment, visit_authority, visit_value",
                patient,
            )
        )
        return tuple(stays.latest(found).values())

    def keep_stay(self, patient: int, said: Said) -> None:
        """Keep what was said of a visit, unless what is known of it has the last word."""
        self._do(
            "INSERT INTO stay (patient, establishment, visit_authority, visit_value, state, ordered_at, received_at, receipt)"  # noqa: S608 - a constant
            f" VALUES (?, ?, ?, ?, ?, ?, ?, ?) {_UNLESS_LATER}",
            patient,
            *said.visit,
            said.state.value,
            instant_text(said.ordered_at),
            instant_text(said.received_at),
            said.receipt,
        )

    def carry_stays(self, patient: int, into: int) -> None:
        """Let what is known of a patient's visits count for another one too: the two are one person, or were."""
        self._do(
            "INSERT INTO stay (patient, establishment, visit_authority, visit_value, state, ordered_at, received_at, receipt)"  # noqa: S608 - a constant
            " SELECT ?, establishment, visit_authority, visit_value, state, ordered_at, received_at, receipt FROM stay"
            f" WHERE patient = ? {_UNLESS_LATER}",
            into,
            patient,
        )
