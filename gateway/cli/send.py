"""The verb `send`: hand messages to an MLLP receiver and say what it answers."""

import asyncio
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from gateway.cli import console
from gateway.cli.mistrust import NoContext, context
from gateway.cli.mllp_client import Client, Reply, Silence
from gateway.cli.outgoing import NotSendable, Outgoing, read, with_charset, with_control_id
from gateway.cli.send_answers import Sent, Tally, sent, words
from gateway.cli.underline import WIDEST
from gateway.config.load import samples_directory

#: Name → file of the samples.
EXAMPLES: Final = {"mdm": "mdm/01-t02-radiology.er7", "oru": "oru/01-new-report.er7", "adt": "adt/01-a01-ino.er7"}

#: With more messages than this, those accepted are only counted, and a bar is shown.
_FEW: Final = 20
#: Answers that are shown in full when there are more messages than that.
_SHOWN: Final = 100
#: What else a connection that is closed unread may mean, without TLS and with it.
_OTHER_PORT: Final = (", or speak TLS there (--tls), or be no MLLP door", ", or be no MLLP door")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"

HELP: Final = """
Send HL7v2 messages over MLLP and show the answers.

FILE holds one message or several, in MLLP frames (0B … 1C 0D) or each beginning with its MSH line, with CR, LF or CRLF at
the ends of lines; what was guessed is said on standard error. A file named .mllp is sent byte for byte, faults included.
The file - is standard input.

Every answer is said in words: AA, the gateway has taken responsibility and will not lose the message; AE, the content is
wrong and sending it again as it is will not help; AR, a circumstance, to be sent again later. Each error comes with its
code, what to do, and its place underlined in what was sent.

Messages go out one after the other over one connection; sending ends with the first one that is not accepted (--keep-going
goes on). Nothing is ever sent twice unless --repeat asks for it.

\b
Examples:
  dmp-gateway send --example oru                      a laboratory report, to the gateway on this machine
  dmp-gateway send report.hl7 --to 192.0.2.7:2575     a message of yours, to another receiver
  dmp-gateway send --example oru --to sih.example:2576 --tls --ca ca.pem --cert sil.pem --key sil.key
  dmp-gateway send --keep-going bad/*.er7             see every refusal
  dmp-gateway send report.hl7 --one-frame             the file as one frame, even with two MSH in it
  dmp-gateway send --example mdm --charset 8859/15    as a sender that writes ISO 8859-15 would
  dmp-gateway send --example oru --repeat 500 --rate 50 --fresh-ids
                                                      ten seconds of a steady flow
  cat night.hl7 | dmp-gateway send - --json | jq .answer

\b
Exit status: 0 every answer was AA, 1 any other answer or none, 2 the command could not be understood.
"""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent, and how."""

    host: str
    port: int
    #: What we trust and show; None: plain text.
    tls: ssl.SSLContext | None = None
    messages: tuple[Outgoing, ...]
    repeat: int = 1
    #: Messages per second; None: as fast as they are answered.
    rate: float | None = None
    #: Seconds that an answer may take.
    wait: float = 30.0
    #: Whether a message waits for the answer to the one before.
    in_turn: bool = True
    keep_going: bool = False
    #: Put after MSH-10 together with the number of the repetition; empty: MSH-10 stays.
    run: str = ""

    @property
    def total(self) -> int:
        """How many messages there are to be sent."""
        return len(self.messages) * self.repeat

    def walk(self) -> Iterator[tuple[int, Outgoing]]:
        """Yield each message with the number of its repetition, in the order of sending."""
        for repetition in range(1, self.repeat + 1):
            for message in self.messages:
                yield repetition, with_control_id(message, f"-{self.run}.{repetition}") if self.run else message


Report = Callable[[int, Outgoing, Reply], Sent]


async def deliver(plan: Plan, clock: Callable[[], float], report: Report) -> tuple[int, str | None, bool]:
    """
    Send what the plan says.

    Args:
        plan: The messages and the receiver.
        clock: Seconds that never go back.
        report: Called once for each message sent, in the order of sending, with its repetition and its reply.

    Returns:
        How many answers came that belong to no message, why TLS failed, if it did, and whether nobody knows the receiver's name.
    """
    began, stopped = clock(), False
    flying: deque[tuple[int, Outgoing, asyncio.Future[Reply]]] = deque()
    in_turn = plan.in_turn
    async with Client(plan.host, plan.port, wait=plan.wait, clock=clock, in_turn=in_turn, tls=plan.tls) as client:
        for number, (repetition, message) in enumerate(plan.walk()):
            if plan.rate is not None:
                await asyncio.sleep(max(0.0, began + number / plan.rate - clock()))
            reply = await client.post(message)
            flying.append((repetition, message, reply))
            if in_turn or not message.is_closed:
                await reply
            else:
                await asyncio.sleep(0)
            while flying and flying[0][2].done():
                stopped |= await _reported(flying.popleft(), report, plan)
            if stopped:
                break
        while flying:
            await _reported(flying.popleft(), report, plan)
        return client.strays, client.mistrust, client.is_unknown


async def _reported(flown: tuple[int, Outgoing, asyncio.Future[Reply]], report: Report, plan: Plan) -> bool:
    """Report one message when its reply is there; return whether to stop for it."""
    repetition, message, reply = flown
    return not report(repetition, message, await reply).is_accepted and not plan.keep_going


class _Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT, with brackets around an IPv6 address; HOST alone means port 2575."""

    name = "HOST:PORT"

    def convert(self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Return host and port, or fail with what was expected."""
        if not isinstance(value, str):
            return value
        host, colon, port = value.rpartition(":")
        if not colon or value.endswith("]"):
            host, port = value, "2575"
        host = host.removeprefix("[").removesuffix("]")
        if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65_536:
            self.fail(f"{value!r} is not HOST:PORT, for example 127.0.0.1:2575", param, ctx)
        return host, int(port)


_File: Final = click.Path(path_type=Path, dir_okay=False)


@click.command(help=HELP, short_help="Send HL7v2 messages over MLLP and show the answers.")
@click.argument("files", metavar="[FILE…]", nargs=-1, type=click.Path(path_type=str))
@click.option(
    "--example",
    "examples",
    multiple=True,
    type=click.Choice(list(EXAMPLES)),
    help="A message that comes with the gateway: a document by MDM, a laboratory report by ORU, an admission (ADT) without "
    "opposition. Can be given several times.",
)
@click.option("--to", "address", type=_Address(), default="127.0.0.1:2575", show_default=True, help="The receiver.")
@click.option("--tls", "with_tls", is_flag=True, help="Speak TLS; the receiver's certificate must name the host in --to.")
@click.option("--ca", type=_File, metavar="FILE", help="TLS: authorities (PEM) that we trust; without it, the machine's own.")
@click.option("--cert", type=_File, metavar="FILE", help="TLS: our certificate (PEM), for a receiver that asks for one.")
@click.option("--key", type=_File, metavar="FILE", help="TLS: its key (PEM); without it, in the file of --cert.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Send everything N times.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="PER_SECOND",
    help="Messages per second at most; without it, each as soon as its turn comes.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer may take before the message counts as unanswered.",
)
@click.option(
    "--no-wait",
    is_flag=True,
    help="Send the next message before the last one is answered; answers find their message by MSA-2, --wait bounds each.",
)
@click.option(
    "--charset", metavar="NAME", help="Write the messages in this character set, and MSH-18 with it: 8859/15, UNICODE UTF-8…"
)
@click.option("--one-frame", is_flag=True, help="Take each file for one message, whatever it holds.")
@click.option("--keep-going", is_flag=True, help="Go on after a message that is not accepted.")
@click.option(
    "--fresh-ids",
    is_flag=True,
    help="Give each repetition an MSH-10 of its own (a suffix). The document in it stays the same: the gateway keeps it once.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per message on standard output, nothing else there.")
def send(
    *,
    files: tuple[str, ...],
    examples: tuple[str, ...],
    address: tuple[str, int],
    with_tls: bool,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    repeat: int,
    rate: float | None,
    wait: float,
    no_wait: bool,
    charset: str | None,
    one_frame: bool,
    keep_going: bool,
    fresh_ids: bool,
    as_json: bool,
) -> None:
    """Send messages over MLLP and show the answers (the command's own help is `HELP`)."""
    if not files and not examples:
        console.usage("There is nothing to send: name a FILE, or --example oru.")
    try:
        messages = gather(files, examples, one_frame=one_frame)
        if charset is not None:
            messages = tuple(with_charset(message, charset) for message in _rewritable(messages, "--charset"))
    except NotSendable as refusal:
        console.usage(str(refusal))
    if fresh_ids:
        _rewritable(messages, "--fresh-ids")
    host, port = address
    plan = Plan(
        host=host,
        port=port,
        tls=_context(ca, cert, key, asked=with_tls),
        messages=messages,
        repeat=repeat,
        rate=rate,
        wait=wait,
        in_turn=not no_wait,
        keep_going=keep_going,
        run=base36(time.time_ns() // 1_000_000_000) if fresh_ids else "",
    )
    sys.exit(0 if _run(plan, as_json=as_json) else 1)


def _context(ca: Path | None, cert: Path | None, key: Path | None, *, asked: bool) -> ssl.SSLContext | None:
    if not asked:
        if ca or cert or key:
            console.usage("--ca, --cert and --key are for --tls.")
        return None
    if key and not cert:
        console.usage("--key needs the certificate, too: --cert FILE")
    try:
        return context(ca, cert, key)
    except NoContext as unusable:
        console.usage(str(unusable))


def gather(files: Sequence[str], examples: Sequence[str], *, one_frame: bool = False) -> tuple[Outgoing, ...]:
    """
    Read all messages, examples first, and say on standard error what was guessed.

    Args:
        files: Names, ``-`` for standard input.
        examples: Keys of `EXAMPLES`.
        one_frame: Take each file for one message.

    Returns:
        At least one message.

    Raises:
        NotSendable: a file cannot be read, or holds nothing.
    """
    messages: list[Outgoing] = []
    named = [(name, samples_directory() / EXAMPLES[name]) for name in examples]
    for name, file in [*((f"example {name}", path) for name, path in named), *((name, Path(name)) for name in files)]:
        try:
            content = sys.stdin.buffer.read() if name == "-" else file.read_bytes()
        except OSError as error:
            raise NotSendable(f"{file} cannot be read: {error.strerror}") from None
        found = read("standard input" if name == "-" else name, content, one_frame=one_frame)
        console.err(f"{found.messages[0].file}: {found.words}", style="dim")
        messages += found.messages
    return tuple(messages)


def base36(number: int) -> str:
    """Return a number in letters and digits, as short as they make it."""
    digits = _DIGITS[number % 36]
    while number := number // 36:
        digits = _DIGITS[number % 36] + digits
    return digits


def _rewritable(messages: tuple[Outgoing, ...], option: str) -> tuple[Outgoing, ...]:
    fixed = next((message.file for message in messages if message.raw is not None), None)
    if fixed is not None:
        console.usage(f"{option} cannot change {fixed}: a .mllp file is sent byte for byte.")
    return messages


def _run(plan: Plan, *, as_json: bool) -> bool:
    """Send, report, sum up; return whether everything was accepted."""
    tally, began, strays, mistrust, is_unknown = Tally(), time.perf_counter(), 0, None, False
    shown = 0
    width = console.out.width if console.out.is_terminal else WIDEST
    with console.progress(plan.total if plan.total > _FEW else 0, "sending") as advance:

        def report(repetition: int, message: Outgoing, reply: Reply) -> Sent:
            nonlocal shown
            line, answered = sent(message, repetition, reply)
            tally.add(line)
            advance(1)
            if as_json:
                console.json_line(line)
            elif plan.total <= _FEW or not line.is_accepted:
                shown += 1
                if shown > _SHOWN:
                    return line
                for text, style in words(message, line, answered, width):
                    console.out(text, style=style)
            return line

        try:
            strays, mistrust, is_unknown = asyncio.run(deliver(plan, time.perf_counter, report))
        except KeyboardInterrupt:
            console.err("interrupted", style="yellow")
    if shown > _SHOWN:
        console.err(f"{shown - _SHOWN} more that were not accepted are only counted; --json shows every answer")
    _sum_up(plan, tally, time.perf_counter() - began, strays, is_unknown=is_unknown)
    if tally.silent[Silence.NOT_TRUSTED] and mistrust is not None:
        console.err(f"TLS with {plan.host}:{plan.port}: {mistrust}{'' if mistrust.endswith('?') else '.'}", style="red")
    return tally.all_accepted and tally.sent == plan.total


def _sum_up(plan: Plan, tally: Tally, seconds: float, strays: int, *, is_unknown: bool) -> None:
    if plan.total > 1:
        console.err(tally.summary(plan.total, seconds))
    if tally.sent < plan.total and not plan.keep_going and not tally.all_accepted:
        console.err("stopped at the first message that was not accepted; --keep-going sends the others too")
    if strays:
        console.err(f"{strays} more came back whose MSA-2 names no message that was waiting", style="yellow")
    if tally.silent[Silence.CUT] and not tally.answers:
        console.err(
            f"If {plan.host}:{plan.port} does so each time, it may not admit this machine (its log says connection.refused, "
            f"`dmp-gateway sources check` there says why){_OTHER_PORT[plan.tls is not None]}."
        )
    if tally.silent[Silence.NOT_CONNECTED] and is_unknown:
        console.err(f"This machine knows no host {plan.host}: is its name right?", style="red")
    elif tally.silent[Silence.NOT_CONNECTED]:
        console.err(f"Nothing takes connections at {plan.host}:{plan.port}.", style="red")
        console.err("Is the gateway running? Start it with: dmp-gateway serve")
