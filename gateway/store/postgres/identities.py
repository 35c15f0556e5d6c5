"""Who is who on PostgreSQL: what an identifier names and named, and the identity that a record holds."""

from collections.abc import Iterable, Iterator, Sequence

from gateway.rules.identity import Reference
from gateway.store import columns
from gateway.store.postgres.locking import Key
from gateway.store.postgres.reading import Rights, Rows
from gateway.store.postgres.session import Request, Session


class References:
    """The identity that each locked patient's record holds, and who may not deposit for it; what changes is read again."""

    def __init__(self, session: Session, locked: Iterable[int]) -> None:
        """Keep which patients a transaction is about."""
        self._session = session
        self._asked = sorted(set(locked))
        self._known: dict[int, tuple[Reference | None, frozenset[str]]] = {}

    def wanted(self) -> Iterator[Request]:
        """Return what is to be read."""
        if self._asked:
            yield "read_references", (self._asked,)

    def take(self, found: Rows) -> None:
        """Take what was read."""
        for row in found.get("read_references", ()):
            self._known[row[0]] = (None if row[1] is None else columns.reference(row[1:5]), frozenset(row[5]))

    def of(self, patient: int) -> tuple[Reference | None, frozenset[str]]:
        """Return the identity of a patient whose lock is held, and the establishments that took theirs back."""
        if patient not in self._known:
            self.take({"read_references": self._session.all("read_references", ([patient],))})
        return self._known[patient]

    def changed(self, patient: int) -> None:
        """Read a patient's again when it is asked for."""
        self._known.pop(patient, None)


class Identities:
    """What `gateway.store.transaction_identity` asks for; written at once, for only events change it."""

    at: str
    _session: Session
    _rights: Rights
    _references: References
    _patients: dict[Key, int | None]

    def set_identifier(self, authority: str, value: str, patient: int, receipt: str, because: str = "seen") -> None:
        """Say that an identifier belongs to a patient from now on; what it named before is kept as history."""
        self._rights.require_lock(patient)
        if self._patients.get((authority, value)) == patient:
            return
        self._session.run("end_link", (self.at, receipt, authority, value))
        self._session.run("begin_link", (authority, value, patient, self.at, because, receipt))
        self._session.run("set_identifier", (authority, value, patient, self.at, receipt))
        self._patients[authority, value] = patient

    def reference_of(self, patient: int) -> Reference | None:
        """Return the identity that a patient's record holds, its last version."""
        return self._references.of(self._rights.require_lock(patient))[0]

    def write_reference(self, patient: int, reference: Reference, receipt: str) -> None:
        """Write a version of it; the earlier ones stay."""
        self._session.run(
            "write_reference", columns.of_reference(self._rights.require_lock(patient), reference, receipt, self.at)
        )
        self._references.changed(patient)

    def suspended(self, patient: int) -> frozenset[str]:
        """Return the establishments that took back what they had said of a patient's identity."""
        return self._references.of(self._rights.require_lock(patient))[1]

    def suspend(self, patient: int, establishment: str, receipt: str) -> None:
        """Refuse what an establishment deposits for a patient from now on; nothing happens where that is so already."""
        self._session.run("suspend_link", (self._rights.require_lock(patient), establishment, self.at, receipt))
        self._references.changed(patient)

    def resume(self, patient: int, establishment: str) -> None:
        """Take its deposits again."""
        self._session.run("resume_link", (self._rights.require_lock(patient), establishment))
        self._references.changed(patient)

    def named_under(self, patient: int, identifiers: Sequence[tuple[str, str]]) -> list[str]:
        """Return which of the statements that bind a patient now came with one of these (authority, value)."""
        asked = ([authority for authority, _ in identifiers], [value for _, value in identifiers])
        return [row[0] for row in self._session.all("statements_named_under", (*asked, self._rights.require_lock(patient)))]

    def watch(self, kind: str, receipt: str, patient: int, detail: str) -> None:
        """List something for identity watch, once as long as it is open."""
        self._session.run("watch", {"at": self.at, "kind": kind, "receipt": receipt, "patient": patient, "detail": detail})
