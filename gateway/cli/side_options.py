"""How a verb about two files names each of them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from gateway.cli.patient_options import ROOTS, patient_of
from gateway.model.patient import PatientId

_F = TypeVar("_F", bound=Callable[..., Any])


def side_options(side: str, whose: str) -> Callable[[_F], _F]:
    """
    Return what adds `--SIDE-ins`, `--SIDE-root` and `--SIDE-local` to a verb.

    Args:
        side: Begins the names of the options.
        whose: Said of it in the help.
    """

    def add(command: _F) -> _F:
        options = (
            click.option(f"--{side}-ins", metavar="MATRICULE", help=f"INS of {whose}."),
            click.option(f"--{side}-root", type=click.Choice(tuple(ROOTS)), help="Which kind of INS that is."),
            click.option(f"--{side}-local", metavar="ESTABLISHMENT/DOMAIN:VALUE", help=f"Or a local identifier of {whose}."),
        )
        for option in reversed(options):
            command = option(command)
        return command

    return add


def side_of(side: str, options: Mapping[str, Any]) -> PatientId:
    """
    Return the identifier that the options of a side name.

    Raises:
        click.UsageError: none or both given, or the INS has a wrong key.
    """
    try:
        return patient_of(*(options[f"{side}_{name}"] for name in ("ins", "root", "local")))
    except click.UsageError as wrong:
        text = wrong.message.replace("--ins", f"--{side}-ins").replace("--local", f"--{side}-local")
        raise click.UsageError(text) from None
