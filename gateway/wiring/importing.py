"""Records opened in bulk by the owner of the store: several openings in one transaction (D-18, R-01…R-05)."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.model.event import Consent, RecordOpening
from gateway.model.patient import PatientId, Traits
from gateway.model.ports import Clock, Receipts
from gateway.model.submission import Reception
from gateway.store.port import Store
from gateway.wiring.naming import Names

#: Openings in one transaction: an event that waits behind them waits for so many.
_AT_ONCE: Final = 50
_ACTOR: Final = "operator"
_DEADLINE: Final = timedelta(seconds=30)


class ImportedOpening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line that was read and found right."""

    #: Number of the line in the file.
    line: int
    patient: PatientId
    traits: Traits
    channel: str
    #: None: moved from elsewhere without a recorded consent (channel `migration`, R-41).
    collected_by: str | None
    collected_at: str | None
    place: str
    emergency_access: bool | None


class Importing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record.import`: some lines of a file."""

    openings: tuple[ImportedOpening, ...]


class ImportedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a line."""

    line: int
    verdict: str
    #: Problem codes; of an identifier that this gateway does not take, `INS_ROOT`.
    codes: tuple[str, ...] = ()


def import_records(
    store: Store, clock: Clock, receipts: Receipts, names: Names, openings: Sequence[ImportedOpening]
) -> list[ImportedLine]:
    """
    Open records; one that is open stays as it is, a closed one is not reopened: that is its patient's wish (R-08).

    Returns:
        What became of each line, in their order.

    Raises:
        Unavailable: the store is away; lines before may be committed, which repeating finds.
    """
    done: dict[int, ImportedLine] = {}
    ready: list[tuple[ImportedOpening, RecordOpening]] = []
    for opening in openings:
        try:
            patient = names.patient(opening.patient)
        except ValueError:
            done[opening.line] = ImportedLine(line=opening.line, verdict="rejected", codes=("INS_ROOT",))
            continue
        ready.append((opening, _event(opening, patient)))
    for together in _apart(ready):
        now = clock.now()
        requests = [(_reception(receipts, opening, now), event) for opening, event in together]
        outcomes = store.submit_all(requests, now + _DEADLINE)
        for (opening, _), outcome in zip(together, outcomes, strict=True):
            done[opening.line] = ImportedLine(line=opening.line, verdict=outcome.verdict.value, codes=outcome.codes)
    return [done[opening.line] for opening in openings]


def _apart(ready: Sequence[tuple[ImportedOpening, RecordOpening]]) -> Iterator[list[tuple[ImportedOpening, RecordOpening]]]:
    """Yield them in order, some at once, never one patient twice in one transaction."""
    together: list[tuple[ImportedOpening, RecordOpening]] = []
    named: set[tuple[str, str]] = set()
    for each in ready:
        keys = {known.key for known in each[1].identifiers}
        if len(together) == _AT_ONCE or named & keys:
            yield together
            together, named = [], set()
        together.append(each)
        named |= keys
    if together:
        yield together


def _event(opening: ImportedOpening, patient: PatientId) -> RecordOpening:
    consent = (
        None
        if opening.collected_by is None or opening.collected_at is None
        else Consent(collected_by=opening.collected_by, collected_at=opening.collected_at, place=opening.place)
    )
    return RecordOpening(
        identifiers=(patient,),
        traits=opening.traits,
        channel=opening.channel,
        consent=consent,
        emergency_access=opening.emergency_access,
        reopens=False,
    )


def _reception(receipts: Receipts, opening: ImportedOpening, now: datetime) -> Reception:
    receipt = receipts.issue(_ACTOR, now)
    said = msgspec.structs.replace(opening, line=0)
    return Reception(
        receipt=receipt,
        received_at=now.isoformat(timespec="microseconds"),
        door="command",
        source=_ACTOR,
        establishment=_ACTOR,
        application=_ACTOR,
        facility=_ACTOR,
        message_id=receipt,
        message_type="record.import",
        message_digest=receipts.keyed(msgspec.json.encode(said)),
    )
