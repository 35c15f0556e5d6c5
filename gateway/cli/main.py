"""`dmp-gateway`: one file per verb, loaded when it is asked for."""

import errno
import importlib
from types import MappingProxyType
from typing import Final

import click

from gateway.cli import console

#: Verb → (module, command, help in a line). Explicit: a test walks it (D-22).
VERBS: Final = MappingProxyType(
    {
        "serve": ("gateway.cli.serve", "serve", "Run the gateway: doors, queue, record store."),
        "mllp": ("gateway.cli.processes", "mllp", "Run the MLLP door alone, over a broker."),
        "http": ("gateway.cli.processes", "http", "Run the HTTP door alone, over a broker."),
        "worker": ("gateway.cli.processes", "worker", "Run one worker alone, from a broker to a database."),
        "queue": ("gateway.cli.queue", "queue", "See what waits, lane by lane; declare the lanes of a broker."),
        "send": ("gateway.cli.send", "send", "Send HL7v2 messages over MLLP and show the answers."),
        "listen": ("gateway.cli.listen", "listen", "Receive HL7v2 messages over MLLP, answer as asked, show what came."),
        "record": ("gateway.cli.record", "record", "Open, close, show a record; state or lift an opposition."),
        "deposits": ("gateway.cli.deposits", "deposits", "See where messages went and why."),
        "parked": ("gateway.cli.parked", "parked", "See what was acknowledged and could not be applied."),
        "db": ("gateway.cli.db", "db", "Make, check and back up the record store; tell what a restore lost."),
        "keys": ("gateway.cli.keys", "keys", "Make the keys that seal what waits."),
        "sources": ("gateway.cli.sources", "sources", "See who may send and by what; make a token."),
        "test-authority": ("gateway.cli.test_authority", "test_authority", "Make certificates to try TLS with."),
        "doctor": ("gateway.cli.doctor", "doctor", "Check the configuration, the data directory and the doors."),
    }
)


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in VERBS:
            return None
        module, name, _ = VERBS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a verb; a file or folder that the machine does not give is told, whatever the verb was about to do with it."""
        try:
            return super().invoke(ctx)
        except OSError as failure:
            if failure.errno == errno.EPIPE:  # whoever read the output is gone: click ends the program
                raise
            console.no_file(failure)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, _, text) in VERBS.items()])


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="dmp-gateway", prog_name="dmp-gateway")
def main() -> None:
    """
    Feed France's shared medical record (DMP) from hospitals and laboratories.

    \b
    Try it in a minute:
      dmp-gateway serve                        in one terminal; loopback, sample configuration, ./dmp-data
      dmp-gateway send --example mdm           in another: a report, answered AA
      dmp-gateway deposits list                where it went, and why
      dmp-gateway record open --ins 284103523811464 --collected-by desk
      dmp-gateway send --example mdm           now it is stored

    \b
    Exit status: 0 done, 1 refused or failed, 2 usage.
    """  # noqa: D301 - click reads this mark
