"""The verbs of identity watch: what their arguments are, and the events they become (D-1)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from gateway.model.event import DocumentMove, DocumentRelease, FileMerge, MergeUndo, RecordEvent, TaskEnding
from gateway.model.patient import PatientId, PatientIdentity
from gateway.wiring.naming import Names
from gateway.wiring.said import named, said


class Merging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record merge`."""

    patient: PatientId
    #: Whose file disappears.
    absorbed: PatientId
    signed_by: tuple[str, ...]


class Unmerging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record unmerge`."""

    #: Receipt of the merge.
    merge: str
    signed_by: tuple[str, ...]


class Moving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record move`."""

    document: str
    #: In whose record it is, and in whose it belongs.
    source: PatientId
    to: PatientId
    signed_by: tuple[str, ...]


class Releasing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record release`."""

    patient: PatientId
    document: str
    by: str


class Ending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `record task-done`."""

    task: int
    by: str


def _merge(args: Merging, names: Names) -> RecordEvent:
    kept, absorbed = names.patient(args.patient), names.patient(args.absorbed)
    if kept.key == absorbed.key:
        raise ValueError("the two sides are one identifier")
    return FileMerge(
        trigger="command",
        identifiers=(kept,),
        absorbed=(absorbed,),
        identity=PatientIdentity(identifiers=(kept,)),
        signed_by=_signed(args.signed_by),
    )


def _unmerge(args: Unmerging, names: Names) -> RecordEvent:  # noqa: ARG001 - the form of every verb here
    return MergeUndo(merge=args.merge, signed_by=_signed(args.signed_by))


def _move(args: Moving, names: Names) -> RecordEvent:
    return DocumentMove(
        identifiers=(names.patient(args.source),),
        to=(names.patient(args.to),),
        unique_id=args.document,
        signed_by=_signed(args.signed_by),
    )


def _release(args: Releasing, names: Names) -> RecordEvent:
    return DocumentRelease(identifiers=(names.patient(args.patient),), unique_id=args.document, released_by=named(args.by, "by"))


def _end(args: Ending, names: Names) -> RecordEvent:  # noqa: ARG001 - the form of every verb here
    return TaskEnding(task=args.task, done_by=named(args.by, "by"))


def _signed(by: tuple[str, ...]) -> tuple[str, ...]:
    """Return who signed, at least one: nobody would make a message of a command."""
    if not any(name.strip() for name in by):
        raise ValueError("signed_by: name the two persons who sign")
    return tuple(said(name, "signed_by") for name in by)


class WatchVerb(NamedTuple):
    """One verb: the struct of its arguments, and what makes an event of them."""

    arguments: type[msgspec.Struct]
    event: Callable[..., RecordEvent]


#: Every verb of identity watch that writes, by its name (D-22).
WATCH_VERBS: Final[Mapping[str, WatchVerb]] = MappingProxyType(
    {
        "record.merge": WatchVerb(Merging, _merge),
        "record.unmerge": WatchVerb(Unmerging, _unmerge),
        "record.move": WatchVerb(Moving, _move),
        "record.release": WatchVerb(Releasing, _release),
        "record.task_done": WatchVerb(Ending, _end),
    }
)
