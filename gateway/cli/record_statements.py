"""`dmp-gateway record oppose` and `record lift`: what a patient, or an establishment for itself, states about the feeding."""

from pathlib import Path
from typing import Final

import click
import msgspec

from gateway.cli import console
from gateway.cli.data_option import config_option, data_option, json_option, run_verb
from gateway.cli.patient_options import patient_of, patient_options
from gateway.cli.record_pages import page_of
from gateway.cli.saying import say, when
from gateway.model.event import Position, Right, Scope, Side, StatedBy
from gateway.model.outcome import Outcome
from gateway.model.patient import PatientId
from gateway.model.source import SourceKind
from gateway.rules.opposition import Standing
from gateway.store.views import StatementLine
from gateway.wiring.verbs import Lift, LiftingAll, Stating

#: The option that names what a scope binds.
_OPTIONS: Final = {
    "establishment": Scope.ESTABLISHMENT,
    "source_kind": Scope.SOURCE_KIND,
    "professional": Scope.PROFESSIONAL,
    "class_code": Scope.CLASS,
    "type_code": Scope.TYPE,
}

_STANDING: Final = {
    Standing.IN_FORCE: "YES",
    Standing.ALLOWS: "allows",
    Standing.WAITING: "not yet",
    Standing.SUPERSEDED: "no: later",
    Standing.LIFTED: "no: lifted by",
    Standing.VISIT_ENDED: "no: visit ended",
}


def standing_of(line: StatementLine) -> str:
    """Return what a statement counts for, with the id of the statement that decides it."""
    return " ".join(filter(None, (_STANDING[line.standing], line.by)))


def about_of(line: StatementLine) -> str:
    """Return what a statement is about: its scope, what it names, and the visit."""
    stated = line.statement
    visit = f"visit {stated.visit.value}" if stated.visit is not None else None
    return " ".join(filter(None, (stated.scope.value, stated.scope_value, visit)))


def whose_of(line: StatementLine) -> str:
    """Return whose a statement is, by whom it was made where that is somebody else, and who took it down."""
    stated = line.statement
    by = f" by {stated.stated_by.value}" if stated.stated_by.value != stated.side.value else ""
    return f"{stated.side.value}{by} ({stated.collected_by})"


def _stating(command: click.decorators.FC) -> click.decorators.FC:
    options = (
        patient_options,
        click.option("--establishment", metavar="ID|FINESS", help="Only this establishment (default: every source)."),
        click.option(
            "--source-kind",
            metavar="KIND",
            help=f"Only this kind of source: {', '.join(SourceKind)}. `insurer` is the insurer's history.",
        ),
        click.option("--professional", metavar="8RPPS|0ADELI", help="Only what this professional wrote, signed or sent."),
        click.option("--class", "class_code", metavar="CODE", help="Only this class of documents (XDS classCode)."),
        click.option("--type", "type_code", metavar="CODE", help="Only this type of documents (XDS typeCode)."),
        click.option(
            "--scope", type=click.Choice([scope.value for scope in Scope]), help="The same in two parts: which of these scopes…"
        ),
        click.option("--value", metavar="VALUE", help="…and what it names; nothing for `all`."),
        click.option(
            "--stated-by",
            type=click.Choice([who.value for who in StatedBy]),
            default=StatedBy.PATIENT.value,
            show_default=True,
            help="Whose it is: an `establishment` binds its own deposits only (R-14), all others are of the patient's side.",
        ),
        click.option(
            "--collected-by",
            default="desk",
            show_default=True,
            metavar="WHO",
            help="Who took it down, or the establishment.",
        ),
        click.option("--at", "at", default="", metavar="TS", help="When it was stated: YYYY[MM[DD[HHMM…]]] (default: now)."),
        data_option,
        config_option(
            "The configuration that `serve` gets (asked only where no gateway runs); without one, the sample configuration."
        ),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("oppose", short_help="Take down an opposition.")
@_stating
def oppose(**options: object) -> None:
    """
    Take down an opposition to the feeding of the record (R-13): the patient's own, or an establishment's for itself.

    It binds from its commit on; what it names is refused and leaves nothing behind. What was stored before stays; what was
    stored since the date of --at is withheld (O-7).

    \b
    Examples:
      dmp-gateway record oppose --ins 284103523811464                             every source
      dmp-gateway record oppose --ins 284103523811464 --establishment chu-valmont
      dmp-gateway record oppose --ins 284103523811464 --source-kind insurer       the insurer's history
      dmp-gateway record oppose --ins 284103523811464 --professional 810001234567
      dmp-gateway record oppose --ins 284103523811464 --class 60                  one class of documents
    """  # noqa: D301 - click reads this mark
    _state(options, Position.OPPOSES)


@click.command("lift", short_help="Lift an opposition, or all.")
@_stating
@click.option("--all", "everything", is_flag=True, help="Every opposition that the patient may lift, each shown (O-2).")
def lift(*, everything: bool, **options: object) -> None:
    """
    Lift the opposition of that scope; where the patient names an establishment, also what was told to it (O-2).

    An opposition to every source is lifted by no narrower allowance: each scope is lifted by itself. --all shows what is in
    force and lifts each. Nothing comes back by itself: the sender may send again (O-8).

    \b
    Examples:
      dmp-gateway record lift --ins 284103523811464 --establishment chu-valmont
      dmp-gateway record lift --ins 284103523811464 --all
    """  # noqa: D301 - click reads this mark
    if not everything:
        _state(options, Position.ALLOWS)
        return
    if _scoped(options) is not None or options["scope"]:
        message = "--all lifts every scope: name none"
        raise click.UsageError(message)
    _lift_all(options)


def _scoped(options: dict[str, object]) -> tuple[Scope, str | None] | None:
    """Return the scope that the options name; None if they name none."""
    chosen: list[tuple[Scope, str | None]] = [(scope, str(options[name])) for name, scope in _OPTIONS.items() if options[name]]
    if options["scope"]:
        chosen.append((Scope(str(options["scope"])), str(options["value"]) if options["value"] else None))
    elif options["value"]:
        message = "--value goes with --scope"
        raise click.UsageError(message)
    if len(chosen) > 1:
        message = "give one of --establishment, --source-kind, --professional, --class, --type, or --scope with --value"
        raise click.UsageError(message)
    return chosen[0] if chosen else None


def _state(options: dict[str, object], position: Position) -> None:
    scope, value = _scoped(options) or (Scope.ALL, None)
    at = str(options["at"])
    when("--at", at or None)
    stating = Stating(
        patient=_patient(options),
        scope=scope,
        scope_value=value,
        stated_by=StatedBy(str(options["stated_by"])),
        collected_by=str(options["collected_by"]),
        collected_at=at,
    )
    opposes = position is Position.OPPOSES
    result = run_verb(*_where(options), "record.oppose" if opposes else "record.lift", stating)
    codes = msgspec.json.decode(result, type=Outcome).codes
    superseded = "STATEMENT_SUPERSEDED" in codes
    said = (
        "The lifting is noted but lifts NOTHING: an opposition of the same side is later; `record show` tells which."
        if "ALLOWANCE_WITHOUT_EFFECT" in codes
        else "The lifting is noted; `record show` tells what is still in force."
        if not opposes
        else "The opposition is noted but NOT in force: a later statement stands against it; `record show` tells which."
        if superseded
        else "The opposition is in force."
    )
    say(result, said, "", as_json=bool(options["as_json"]))


def _lift_all(options: dict[str, object]) -> None:
    at = str(options["at"])
    when("--at", at or None)
    patient, as_json = _patient(options), bool(options["as_json"])
    page = page_of(_where(options)[0], patient)
    opposed = [line for line in page.statements if line.in_force and line.statement.right is Right.FEEDING]
    lifts = {line.id: named for line in opposed if (named := _lifted_by_the_patient(line)) is not None}
    if not as_json:
        for line in opposed:
            whose = "the patient's" if line.statement.side is Side.PATIENT else f"told to {line.statement.collected_by}"
            does = "lifts" if line.id in lifts else "stays (only its establishment lifts it)"
            console.out.print(f"{does}: {about_of(line)}, {whose}")
    if not lifts:
        console.fail("No opposition in force is the patient's to lift.", "`record show` tells what is stated.")
    lifting = LiftingAll(
        patient=patient,
        lifts=tuple(dict.fromkeys(lifts.values())),
        stated_by=StatedBy(str(options["stated_by"])),
        collected_by=str(options["collected_by"]),
        collected_at=at,
    )
    result = run_verb(*_where(options), "record.lift_all", lifting)
    say(result, "The liftings are noted; `record show` tells what is still in force.", "", as_json=as_json)


def _lifted_by_the_patient(line: StatementLine) -> Lift | None:
    """Return the allowance by which the patient lifts an opposition; None if only its establishment may (O-2)."""
    stated = line.statement
    if stated.side is Side.PATIENT:
        return Lift(scope=stated.scope, scope_value=stated.scope_value)
    if stated.scope in {Scope.ALL, Scope.ESTABLISHMENT}:
        return Lift(scope=Scope.ESTABLISHMENT, scope_value=stated.scope_value or stated.collected_by)
    return None


def _patient(options: dict[str, object]) -> PatientId:
    ins, root, local = (None if options[name] is None else str(options[name]) for name in ("ins", "root", "local"))
    return patient_of(ins, root, local)


def _where(options: dict[str, object]) -> tuple[Path, Path | None]:
    config = options["config"]
    return Path(str(options["data"])), Path(str(config)) if config else None
