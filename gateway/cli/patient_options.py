"""How every verb of the record names a patient."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from gateway.model import ins as ins_rules
from gateway.model.patient import PatientId
from gateway.wiring.naming import UNSAID

_F = TypeVar("_F", bound=Callable[..., Any])

#: Short names of the INS roots.
ROOTS: Final = {
    "nir": ins_rules.ROOT_NIR,
    "nia": ins_rules.ROOT_NIA,
    "test": ins_rules.ROOT_TEST,
    "demo": ins_rules.ROOT_DEMO,
}


def patient_options(command: _F) -> _F:
    """Add `--ins`, `--root` and `--local` to a verb."""
    options = (
        click.option("--ins", metavar="MATRICULE", help="INS of the patient: 15 characters with the key."),
        click.option(
            "--root",
            type=click.Choice(tuple(ROOTS)),
            help="Which kind of INS it is (default: NIR in production, test on a test gateway).",
        ),
        click.option(
            "--local",
            metavar="ESTABLISHMENT/DOMAIN:VALUE",
            help="A local identifier instead, for example chu-valmont/ipp:100001.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def patient_of(ins: str | None, root: str | None, local: str | None) -> PatientId:
    """
    Return the identifier that the options name.

    Raises:
        click.UsageError: none or both given, or the INS has a wrong key.
    """
    if (ins is None) == (local is None):
        message = "give either --ins MATRICULE or --local ESTABLISHMENT/DOMAIN:VALUE"
        raise click.UsageError(message)
    if ins is not None:
        typed = ins.replace(" ", "").upper()
        if not ins_rules.is_matricule(typed):
            message = "--ins: not 15 characters with the right control key; take the INS again from INSi"
            raise click.UsageError(message)
        return PatientId(value=typed, authority=ROOTS[root] if root else UNSAID, type="INS")
    authority, colon, value = (local or "").rpartition(":")
    if not colon or not authority or not value:
        message = "--local: write ESTABLISHMENT/DOMAIN:VALUE, for example chu-valmont/ipp:100001"
        raise click.UsageError(message)
    return PatientId(value=value, authority=authority)
