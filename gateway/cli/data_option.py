"""The data directory and how a verb that writes reaches its owner (D-12)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from gateway.cli import console
from gateway.cli.configuration import read_configuration
from gateway.wiring.data import DataDirectory, Owned
from gateway.wiring.database import database_url

_F = TypeVar("_F", bound=Callable[..., Any])

_DEFAULT: Final = Path("dmp-data")


def data_option(command: _F) -> _F:
    """Add `--data` to a verb."""
    return click.option(
        "--data",
        "data",
        type=click.Path(path_type=Path, file_okay=False),
        default=_DEFAULT,
        show_default=True,
        envvar="DMP_GATEWAY_DATA",
        show_envvar=True,
        help="The gateway's data directory.",
    )(command)


def json_option(command: _F) -> _F:
    """Add `--json` to a verb."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object per line on standard output, for scripts.")(
        command
    )


def config_option(help_text: str) -> Callable[[_F], _F]:
    """Return what adds `--config` to a verb, with what it says of it."""
    return click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="DMP_GATEWAY_CONFIG",
        show_envvar=True,
        help=help_text,
    )


def run_verb(data: Path, config: Path | None, verb: str, arguments: object) -> bytes:
    """
    Run a verb that writes: by the running gateway, or here under the directory's lock when none runs, or on a database.

    Args:
        data: The data directory.
        config: The configuration, for when no gateway runs.
        verb: Name in the owner's table of verbs.
        arguments: A struct with the verb's arguments.

    Returns:
        The result as JSON. Ends the program (exit 1) with a message that says what to do if it cannot be run.
    """
    with calling(data, config) as call:
        return call(verb, arguments)


@contextmanager
def calling(data: Path, config: Path | None) -> Iterator[Callable[[str, object], bytes]]:
    """Yield what runs verbs, several through one opening of the store; see `run_verb`."""
    # Both bring the whole gateway along: a verb that only reads does without.
    from gateway.wiring.control import Request, ask
    from gateway.wiring.naming import Names
    from gateway.wiring.offline import offline
    from gateway.wiring.upkeep import periods

    directory = DataDirectory(data)

    def request(verb: str, arguments: object) -> Request:
        named = msgspec.structs.asdict(arguments)  # type: ignore[arg-type]
        return Request(verb=verb, args={name: msgspec.Raw(msgspec.json.encode(value)) for name, value in named.items()})

    def asked(path: str, verb: str, arguments: object) -> bytes:
        try:
            reply = ask(path, request(verb, arguments))
        except TimeoutError:
            console.fail(
                f"The gateway that owns {directory.path} has not answered within a minute: it may still be at it.",
                "Look at its log, and run the command again: what was done already is found.",
            )
        except OSError as failure:
            console.fail(
                f"Who owns {directory.path} does not answer ({failure.strerror or type(failure).__name__}).",
                "Another command, or a gateway that starts? Run it again in a moment; `dmp-gateway doctor` tells who it is.",
            )
        if not reply.ok:
            console.fail(reply.error or "The gateway refused the command.", "See the verb's --help.")
        return bytes(reply.result)

    try:
        owner = None if database_url() else directory.owner()
        if owner is not None:
            path = owner.socket
            yield lambda verb, arguments: asked(path, verb, arguments)
            return
        settings = read_configuration(config, {}).settings
        names = Names(settings.directory, settings.environment.value)
        with offline(directory, names, periods(settings.retention)) as verbs:
            yield lambda verb, arguments: verbs.run(request(verb, arguments))
    except Owned:
        console.fail("The data directory is changing hands.", "Run the command again in a moment.")
    except (LookupError, ValueError, RuntimeError) as failure:
        console.fail(str(failure), "See the verb's --help.")
    except OSError as failure:
        console.no_file(failure)
