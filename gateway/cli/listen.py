"""The verb `listen`: an MLLP receiver for whoever tests a sender, or wants to see what the gateway sends."""

import asyncio
import re
import signal
from pathlib import Path
from typing import Final

import click

from gateway.adapters.tls import Asked, Reloading, TlsFiles, TlsUnusable
from gateway.cli import console
from gateway.cli.data_option import json_option
from gateway.cli.listen_folder import Folder
from gateway.cli.listen_heard import Heard, Listening, words
from gateway.cli.listen_manner import Act, Manner
from gateway.cli.listen_server import FRAME_BYTES, Receiver, Terms
from gateway.config.addresses import is_loopback_host, join_address
from gateway.mappers.hl7v2.charset import CHARSETS, known
from gateway.model.problem import ERR3_TEXT
from gateway.model.problems import CODES
from gateway.telemetry import log
from gateway.wiring.clock import SystemClock

HELP: Final = """
Receive HL7v2 messages over MLLP, answer them as asked, and show what came.

Every message is answered AA: a true acknowledgment by MSH-10, in the message's character set and acknowledgment mode. What cannot
be read is answered AE with its place, as the gateway would. --answer, --delay, --drop and --wrong-id are for testing what a
sender does then: with --every only some messages are answered so, and the same --seed drops the same ones again.

Each message is shown by time, type (MSH-9), control id (MSH-10), size and sender. Of a business acknowledgment (ZAM^Z01, Z02,
Z03) it says which message it answers (OBX-4), yes or no, and why not (ERR-3, ERR-5) in words. Nothing else of a message is shown,
or kept, unless --verbose or --keep asks for it: messages name patients.

Listens on the loopback interface only, unless --host names another address. Ends with SIGTERM, Ctrl-C or --count.

\b
Examples:
  dmp-gateway listen                                  on a free port, which it prints; all is answered AA
  dmp-gateway listen --port 6661 --answer AE --every 3 --code OPPOSED
                                                      each third message refused as the gateway would
  dmp-gateway listen --answer AR --delay 5s           try again later, and that after five seconds
  dmp-gateway listen --answer never --count 1         a sender's time-out
  dmp-gateway listen --drop 10% --seed 7              one message in ten is answered by a lost connection
  dmp-gateway listen --trickle 20ms --charset 8859/15 an answer byte by byte, in another character set
  dmp-gateway listen --tls-cert server.pem --tls-key server.key --tls-ca clients.pem
  dmp-gateway listen --json --keep received | jq .business_ack

\b
Exit status: 0 ended as asked, 1 it could not listen or keep a message, 2 the command could not be understood.
"""

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}
_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s|m|)")
_SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)(%?)")


class _Duration(click.ParamType[float]):
    """`5s`, `200ms`, `1m`, `0.5`: seconds where no unit is written."""

    name = "DURATION"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds, or fail with what was expected."""
        if not isinstance(value, str):
            return value
        found = _DURATION.fullmatch(value.strip().lower())
        if found is None:
            self.fail(f"{value!r} is no duration, for example 5s or 200ms", param, ctx)
        return float(found[1]) * _SECONDS[found[2]]


class _Share(click.ParamType[float]):
    """`10%` or `0.1`."""

    name = "SHARE"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return a share from 0 to 1, or fail with what was expected."""
        if not isinstance(value, str):
            return value
        found = _SHARE.fullmatch(value.strip())
        share = None if found is None else float(found[1]) / (100 if found[2] else 1)
        if share is None or share > 1:
            self.fail(f"{value!r} is no share, for example 10% or 0.1", param, ctx)
        return share


class _Charset(click.ParamType[str]):
    """A character set of HL7 table 0211 that is handled."""

    name = "NAME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return its name as the table writes it, or fail with those that there are."""
        name = known(value)
        if name is None:
            self.fail(f"{value!r} is no character set that is handled: {', '.join(CHARSETS)}", param, ctx)
        return name


class _Code(click.ParamType[str]):
    """A code of HL7 table 0357 or one of the gateway's own."""

    name = "CODE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the code, or fail with where they are listed."""
        code = value.strip().upper()
        if code not in ERR3_TEXT and code not in CODES:
            numbers = ", ".join(sorted(ERR3_TEXT))
            self.fail(f"{value!r} is neither of table 0357 ({numbers}) nor a problem code (docs/problems.md)", param, ctx)
        return code


_File: Final = click.Path(path_type=Path, dir_okay=False)


@click.command(help=HELP, short_help="Receive HL7v2 messages over MLLP, answer as asked, show what came.")
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port to listen on; 0 takes a free one."
)
@click.option("--tls-cert", "certificate", type=_File, metavar="FILE", help="Speak TLS, with this certificate (PEM).")
@click.option("--tls-key", "key", type=_File, metavar="FILE", help="TLS: its key (PEM); without it, in the file of --tls-cert.")
@click.option("--tls-ca", "ca", type=_File, metavar="FILE", help="TLS: ask for a client certificate, of these authorities (PEM).")
@click.option(
    "--answer",
    type=click.Choice(["AA", "AE", "AR", "never"]),
    default="AA",
    show_default=True,
    help="How messages are answered; never leaves the sender waiting.",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Only each N-th message is answered by --answer and --wrong-id; the others get a true AA.",
)
@click.option("--code", type=_Code(), help="ERR of an AE or AR: a code of HL7 table 0357 (207 without it), or a problem code.")
@click.option("--text", default="", metavar="TEXT", help="ERR-8 of an AE or AR; MSA-3 of an AA.")
@click.option("--delay", type=_Duration(), default=0.0, help="Wait so long before each answer: 5s, 200ms.")
@click.option(
    "--drop", type=_Share(), default=0.0, help="Close the connection instead of an answer for this share of the messages: 10%."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another one drops other messages (--drop)."
)
@click.option("--wrong-id", is_flag=True, help="Answer with an MSA-2 that is not the message's MSH-10.")
@click.option("--charset", type=_Charset(), help="Write the answers in this character set, MSH-18 with it: 8859/15…")
@click.option("--trickle", type=_Duration(), default=0.0, help="Write the answers byte by byte, so long apart: 20ms.")
@click.option("--one-shot", is_flag=True, help="Close each connection after its first answer.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N messages.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep each message in this folder, as it came, one file a message, readable by its owner alone.",
)
@click.option("--verbose", is_flag=True, help="Show the segments of each message, long ones cut. They name patients.")
@click.option("--quiet", is_flag=True, help="Do not show messages, only where it listens and, at the end, how many came.")
@json_option
def listen(
    *,
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    ca: Path | None,
    answer: str,
    every: int,
    code: str | None,
    text: str,
    delay: float,
    drop: float,
    seed: int,
    wrong_id: bool,
    charset: str | None,
    trickle: float,
    one_shot: bool,
    count: int | None,
    keep: Path | None,
    verbose: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Receive messages over MLLP and show them (the command's own help is `HELP`)."""
    _check(answer, every, code, wrong_id=wrong_id)
    if verbose and quiet:
        console.usage("--verbose shows messages, --quiet does not.")
    manner = Manner(
        answer=Act(answer),
        every=every,
        delay=delay,
        drop=drop,
        seed=seed,
        code=code or "",
        text=text,
        wrong_id=wrong_id,
        charset=charset,
        one_shot=one_shot,
        trickle=trickle,
    )
    tls = _tls(certificate, key, ca)

    def report(line: Heard) -> None:
        if quiet:
            return
        if as_json:
            console.json_line(line)
            return
        for said, style in words(line):
            console.out(said, style=style)

    receiver = Receiver(
        Terms(manner=manner, count=count, verbose=verbose, frame_bytes=FRAME_BYTES),
        now=SystemClock().now,
        report=report,
        fault=lambda said: console.err(said, style="yellow"),
        folder=Folder(keep) if keep is not None else None,
        tls=tls,
    )
    # Tells of TLS handshakes that fail; of messages the verb itself does.
    log.configure("warning", "auto")
    asyncio.run(_listen(receiver, host, port, encrypted=tls is not None, as_json=as_json))
    console.err(receiver.tally.summary())


def _check(answer: str, every: int, code: str | None, *, wrong_id: bool) -> None:
    """End the program where options contradict each other."""
    if code is not None and answer not in {"AE", "AR"}:
        console.usage("--code is for an answer that refuses.", "Add --answer AE or --answer AR.")
    if every > 1 and answer == "AA" and not wrong_id:
        console.usage("--every has nothing to choose messages for.", "Add --answer AE, AR or never, or --wrong-id.")
    if wrong_id and answer == "never":
        console.usage("--wrong-id is for an answer, and --answer never gives none.")


def _tls(certificate: Path | None, key: Path | None, ca: Path | None) -> Reloading | None:
    if certificate is None:
        if key or ca:
            console.usage("--tls-key and --tls-ca need the certificate, too: --tls-cert FILE")
        return None
    files = TlsFiles(certificate=str(certificate), key=str(key or certificate), authorities=str(ca or ""))
    try:
        return Reloading("mllp", files, Asked.REQUIRED if ca else Asked.OPTIONAL)
    except TlsUnusable as unusable:
        console.usage(str(unusable), "`dmp-gateway test-authority DIR` makes certificates to try with.")


async def _listen(receiver: Receiver, host: str, port: int, *, encrypted: bool, as_json: bool) -> None:
    """Listen until asked to end; end the program where that is not possible."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, receiver.stop)
    is_open = False

    def opened(address: str, real: int) -> None:
        nonlocal is_open
        is_open = True
        _say(Listening(listening=join_address(address, real), host=address, port=real, tls=encrypted), as_json=as_json)

    try:
        await receiver.run(host, port, opened)
    except OSError as failure:
        if is_open:
            raise
        what = failure.strerror or type(failure).__name__
        console.fail(
            f"Nothing can listen at {join_address(host, port)}: {what}.",
            "Is the port taken, or is this another machine's address?",
        )


def _say(line: Listening, *, as_json: bool) -> None:
    """Say where it listens."""
    if as_json:
        console.json_line(line)
        return
    reach = "loopback" if is_loopback_host(line.host) else "reached by other machines"
    console.out(f"listening on {line.listening}  ({'TLS' if line.tls else 'plain text'}, {reach})", style="bold")
    how = " --tls --ca FILE" if line.tls else ""
    console.err(f"try: dmp-gateway send --example oru --to {line.listening}{how}; Ctrl-C ends it", style="dim")
