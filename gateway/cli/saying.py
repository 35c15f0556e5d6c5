"""What a verb of the record says of its outcome, and how it reads a date."""

import click
import msgspec

from gateway.cli import console
from gateway.model.outcome import Outcome
from gateway.model.problems import CODES
from gateway.model.verdict import Verdict
from gateway.model.when import When


def say(result: bytes, done: str, unchanged: str, *, as_json: bool) -> None:
    """Say what became of a verb, as JSON or in words; a refusal ends the program with status 1."""
    outcome = msgspec.json.decode(result, type=Outcome)
    if as_json:
        console.json_line(outcome)
    elif outcome.verdict is Verdict.REFUSED:
        code = CODES[outcome.codes[0]]
        console.fail(f"{code.code}: {code.text}", code.advice)
    else:
        console.out.print(unchanged if outcome.verdict is Verdict.UNCHANGED else done)
    if outcome.verdict is Verdict.REFUSED:
        raise SystemExit(1)


def when(option: str, text: str | None) -> When | None:
    """
    Read a date.

    Raises:
        click.UsageError: it is none; the message names the option.
    """
    if not text:
        return None
    try:
        return When.read(text)
    except ValueError as wrong:
        message = f"{option}: {wrong}"
        raise click.UsageError(message) from None
