"""Verbs that write: run by whoever owns the data directory (D-12)."""

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from gateway.model.event import (
    Consent,
    PatientEvent,
    Position,
    RecordClosing,
    RecordEvent,
    RecordOpening,
    Right,
    Scope,
    Side,
    StatedBy,
    Statement,
)
from gateway.model.patient import PatientId, PatientIdentity, Traits
from gateway.model.ports import Clock, Receipts, Unavailable
from gateway.model.problems import CODES
from gateway.model.submission import Reception
from gateway.model.when import When
from gateway.store.port import Store, StoreUnusable, Transient
from gateway.store.retention import Busy, Periods
from gateway.wiring.control import Request
from gateway.wiring.importing import Importing, import_records
from gateway.wiring.naming import Names
from gateway.wiring.said import named, said
from gateway.wiring.watch_verbs import WATCH_VERBS

_T = TypeVar("_T")

#: How long an operator waits for the store.
_DEADLINE: Final = timedelta(seconds=30)
_ACTOR: Final = "operator"


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record open`."""

    patient: PatientId
    traits: Traits = Traits()
    channel: str = "desk"
    collected_by: str
    place: str = ""
    emergency_access: bool | None = None


class Closing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record close`."""

    patient: PatientId
    requested_by: str = "patient"


class Stating(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record oppose` and `record lift`: a statement taken down, the patient's own or an establishment's."""

    patient: PatientId
    scope: Scope = Scope.ALL
    scope_value: str | None = None
    stated_by: StatedBy = StatedBy.PATIENT
    #: Who took it down; of an establishment's own statement the establishment.
    collected_by: str = "desk"
    #: HL7 TS; empty: now.
    collected_at: str = ""


class Lift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one allowance of the patient names, as the record has it."""

    scope: Scope
    scope_value: str | None = None


class LiftingAll(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record lift --all`: an allowance for each opposition that the patient was shown (O-2)."""

    patient: PatientId
    lifts: tuple[Lift, ...]
    stated_by: StatedBy = StatedBy.PATIENT
    collected_by: str = "desk"
    #: HL7 TS; empty: now.
    collected_at: str = ""


class Retaining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `db retain`."""

    dry_run: bool = False


class Verbs:
    """
    What the owner runs, by name.

    Args:
        store: The record store.
        clock: The time.
        receipts: Gives receipt ids.
        names: What this gateway knows by name.
        status: Tells what the process is doing, as JSON.
        kept: How long things are kept.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        receipts: Receipts,
        names: Names,
        status: Callable[[], bytes],
        *,
        kept: Periods = Periods(),  # noqa: B008 - frozen
    ) -> None:
        """Make the table of verbs."""
        self._stopping = threading.Event()
        self._kept = kept
        self._names = names
        self._store = store
        self._clock = clock
        self._receipts = receipts
        self.table: Mapping[str, Callable[[Request], bytes]] = MappingProxyType(
            {
                "record.open": lambda request: self._open(_arguments(request, Opening)),
                "record.close": lambda request: self._close(_arguments(request, Closing)),
                "record.oppose": lambda request: self._state(_arguments(request, Stating), Position.OPPOSES),
                "record.lift": lambda request: self._state(_arguments(request, Stating), Position.ALLOWS),
                "record.lift_all": lambda request: self._lift_all(_arguments(request, LiftingAll)),
                "record.import": lambda request: self._import(_arguments(request, Importing)),
                **{name: partial(self._watch, name) for name in WATCH_VERBS},
                "db.retain": lambda request: self._retain(_arguments(request, Retaining)),
                "status": lambda _: status(),
            }
        )

    def stop(self) -> None:
        """Let a verb that takes long end after the transaction in hand: nobody waits for the rest of it when a gateway stops."""
        self._stopping.set()

    def run(self, request: Request) -> bytes:
        """
        Run a verb.

        Returns:
            Its result as JSON.

        Raises:
            LookupError: no such verb.
            ValueError: its arguments do not fit.
            RuntimeError: the store did not take it.
        """
        verb = self.table.get(request.verb)
        if verb is None:
            message = f"this gateway has no verb {request.verb!r}"
            raise LookupError(message)
        return verb(request)

    def _open(self, args: Opening) -> bytes:
        at = self._clock.now().isoformat(timespec="seconds")
        consent = Consent(collected_by=named(args.collected_by, "collected_by"), collected_at=at, place=said(args.place, "place"))
        return self._submit(
            "record.open",
            args,
            RecordOpening(
                identifiers=(self._names.patient(args.patient),),
                traits=args.traits,
                channel=args.channel,
                consent=consent,
                emergency_access=args.emergency_access,
            ),
        )

    def _close(self, args: Closing) -> bytes:
        patient = self._names.patient(args.patient)
        closing = RecordClosing(identifiers=(patient,), requested_by=named(args.requested_by, "requested_by"))
        return self._submit("record.close", args, closing)

    def _state(self, args: Stating, position: Position) -> bytes:
        own = args.stated_by is StatedBy.ESTABLISHMENT
        collector = named(args.collected_by, "collected_by")
        collector = self._names.collector(collector) if own else collector
        scope, value = args.scope, self._names.scope_value(args.scope, args.scope_value)
        if own and scope is Scope.ALL:  # of all its own deposits: the series of its ZFA-9
            scope, value = Scope.ESTABLISHMENT, collector
        if own and scope is Scope.ESTABLISHMENT and str(value).partition("/")[0] != collector:
            raise ValueError("an establishment states something for its own deposits only (R-14)")
        statement = Statement(
            right=Right.FEEDING,
            position=position,
            side=Side.ESTABLISHMENT if own else Side.PATIENT,
            collected_by=collector,
            scope=scope,
            scope_value=value,
            stated_by=args.stated_by,
            collected_at=self._stated(args.collected_at),
            basis="command",
        )
        verb = "record.oppose" if position is Position.OPPOSES else "record.lift"
        return self._submit(verb, args, self._event(args.patient, statement))

    def _lift_all(self, args: LiftingAll) -> bytes:
        if args.stated_by is StatedBy.ESTABLISHMENT:
            raise ValueError("an establishment lifts its own opposition, not all (O-2)")
        if not args.lifts:
            raise ValueError("lifts: nothing to lift")
        statements = (
            Statement(
                right=Right.FEEDING,
                position=Position.ALLOWS,
                side=Side.PATIENT,
                collected_by=named(args.collected_by, "collected_by"),
                scope=lift.scope,
                scope_value=lift.scope_value,
                stated_by=args.stated_by,
                collected_at=self._stated(args.collected_at),
                basis="command",
            )
            for lift in args.lifts
        )
        return self._submit("record.lift_all", args, self._event(args.patient, *statements))

    def _stated(self, written: str) -> When:
        return When.read(written) if written else When.at(self._clock.now())

    def _event(self, typed: PatientId, *statements: Statement) -> PatientEvent:
        patient = self._names.patient(typed)
        return PatientEvent(
            trigger="command",
            identifiers=(patient,),
            links=False,
            identity=PatientIdentity(identifiers=(patient,)),
            statements=statements,
        )

    def _retain(self, args: Retaining) -> bytes:
        try:
            return msgspec.json.encode(self._store.retain(self._kept, dry_run=args.dry_run, stopping=self._stopping.is_set))
        except Busy as busy:
            message = "the upkeep is under way already"
            raise RuntimeError(message) from busy
        except (Transient, StoreUnusable) as away:
            message = f"the record store is away ({away}): what was taken away stays so, the rest is due at the next run"
            raise RuntimeError(message) from away

    def _import(self, args: Importing) -> bytes:
        try:
            return msgspec.json.encode(import_records(self._store, self._clock, self._receipts, self._names, args.openings))
        except Unavailable as away:
            raise _unavailable(away) from away

    def _watch(self, verb: str, request: Request) -> bytes:
        args = _arguments(request, WATCH_VERBS[verb].arguments)
        return self._submit(verb, args, WATCH_VERBS[verb].event(args, self._names))

    def _submit(self, verb: str, args: object, event: RecordEvent) -> bytes:
        now = self._clock.now()
        receipt = self._receipts.issue(_ACTOR, now)
        reception = Reception(
            receipt=receipt,
            received_at=now.isoformat(timespec="microseconds"),
            door="command",
            source=_ACTOR,
            establishment=_ACTOR,
            application=_ACTOR,
            facility=_ACTOR,
            # Each command is a statement of its own: never taken for a resend of an earlier one (close, open, close again).
            message_id=receipt,
            message_type=verb,
            message_digest=self._receipts.keyed(msgspec.json.encode(args)),
        )
        try:
            return msgspec.json.encode(self._store.submit(reception, event, now + _DEADLINE))
        except Unavailable as away:
            raise _unavailable(away) from away


def _unavailable(away: Unavailable) -> RuntimeError:
    return RuntimeError(f"{away.code}: {CODES[away.code].text} {CODES[away.code].advice}")


def _arguments(request: Request, kind: type[_T]) -> _T:
    try:
        return msgspec.convert({name: msgspec.json.decode(raw) for name, raw in request.args.items()}, kind)
    except msgspec.ValidationError as invalid:
        raise ValueError(str(invalid)) from None
