"""The story, line by line: each is a real message over a real door, and what the record made of it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from gateway.demo.crash import crash
from gateway.demo.messages import framed, renumbered, sample, stated_at
from gateway.demo.portal import post
from gateway.demo.process import COMMAND, GatewayProcess, run_verb
from gateway.demo.several import SeveralProcesses, prepare

#: ESSAI-UN ADELE of the samples.
PATIENT: Final = "284103523811464"
_SETTLE_SECONDS: Final = 10.0
#: Where the servers are, and what names them.
_SERVERS: Final = ("AMQP_URL", "DATABASE_URL")
#: How many processes the supervisor starts.
_SEVERAL: Final = {"DMP_GATEWAY_PROCESSES_DOORS": "1", "DMP_GATEWAY_PROCESSES_WORKERS": "2"}

out: Final = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)


class Story:
    """
    One run in a fresh folder with a free port.

    Args:
        folder: Where data, messages and log go.
        several: Doors and workers, over the broker and the empty database that AMQP_URL and DATABASE_URL name.
    """

    def __init__(self, folder: Path, *, several: bool) -> None:
        """Lay out the folder."""
        self.folder = folder
        self.data = folder / "data"
        self.several = several
        self.gateway = (SeveralProcesses if several else GatewayProcess)(
            self.data, folder / "gateway.log", environment=_SEVERAL if several else None
        )
        self._number = 0
        self.failed: list[str] = []

    def tell(self) -> None:
        """Run every line; `failed` names those that did not end as they must."""
        out.print(f"{'time':8}  {'sender':15}  {'what':24}  {'answer':7}  {'verdict':9}  {'rule':5} why")
        for verb, status in prepare(self.data) if self.several else ():
            self._check(verb, status == 0, f"status {status}")
            out.print(_line("operator", verb, "command", "failed" if status else "done", ""))
        if self.failed:
            return
        self.gateway.start()
        try:
            for line in self._lines():
                out.print(line)
            crash(self.gateway, self.folder, self._check, out.print)
        finally:
            self.gateway.stop()

    def _lines(self) -> Iterator[str]:
        outcome = run_verb(*("record", "open", "--ins", PATIENT, "--collected-by", "admissions desk", "--data", str(self.data)))[
            1
        ][0]
        self._check("record opened", outcome["verdict"] == "applied", outcome["verdict"])
        yield _line("operator", "record opened", "command", outcome["verdict"], outcome["rule"], "→ record show --ins", PATIENT)
        now = datetime.now(UTC)
        steps: tuple[tuple[str, str, Callable[[bytes], bytes], str], ...] = (
            ("report of the laboratory", "oru/01-new-report.er7", _as_it_is, "stored"),
            ("opposition (GAM, IO)", "adt/02-a01-io.er7", lambda adt: stated_at(adt, now), "applied"),
            ("the laboratory's next", "oru/05-second-report.er7", _as_it_is, "refused"),
            ("the clinic's letter", "mdm/05-other-establishment.er7", _as_it_is, "stored"),
            (
                "opposition lifted (INO)",
                "adt/04-a01-ino-later.er7",
                lambda adt: stated_at(adt, now + timedelta(seconds=1)),
                "applied",
            ),
            ("the same, sent again", "oru/05-second-report.er7", _as_it_is, "stored"),
            ("the same by FHIR", "fhir/05-iti105-simple.json", _as_it_is, "duplicate"),
            ("the first one, version 2", "oru/02-replacement.er7", _as_it_is, "stored"),
            ("the first one again", "oru/01-new-report.er7", _as_it_is, "duplicate"),
            ("an INS with a wrong key", "bad/02-ins-key.er7", _as_it_is, "rejected"),
        )
        for what, name, change, wanted in steps:
            if name.startswith("adt/04"):
                # An allowance dated ahead waits for its date (O-5): one second is enough to see it in force.
                time.sleep(1.1)
            yield self._sent(what, change(sample(name)), wanted)
        yield from self._underlined()

    def _sent(self, what: str, message: bytes, wanted: str) -> str:
        self._number += 1
        control_id = f"DEMO-{self._number:03}"
        if message.startswith(b"{"):
            answer = post(self.gateway.http_port, "/fhir/DocumentReference", message, control_id)
        else:
            file = framed([renumbered(message, control_id)], self.folder / f"{control_id}.mllp")
            _, answers = run_verb("send", str(file), "--to", f"127.0.0.1:{self.gateway.port}", "--keep-going")
            answer = answers[0]["answer"] if answers else "none"
        deposit = self._decided(control_id)
        self._check(what, deposit["state"] == wanted, f"{deposit['state']}, not {wanted}")
        _, pages = run_verb("deposits", "show", deposit["id"], "--data", str(self.data))
        rule = pages[0]["outcome"].get("rule", "") if pages else ""
        return _line(
            deposit["source"], what, answer, deposit["state"], rule, *deposit["codes"], f"→ deposits show {deposit['id']}"
        )

    def _decided(self, control_id: str) -> dict[str, Any]:
        limit = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < limit:
            _, lines = run_verb("deposits", "list", "--message", control_id, "--data", str(self.data))
            if lines:
                found: dict[str, Any] = lines[0]
                return found
            time.sleep(0.05)
        return {"source": "?", "state": "nothing", "codes": [], "id": "?"}

    def _check(self, what: str, as_wanted: bool, otherwise: str) -> None:  # noqa: FBT001 - a fact, not an option
        if not as_wanted:
            self.failed.append(f"{what}: {otherwise}")

    def _underlined(self) -> Iterator[str]:
        """Show what the sender of the last message saw."""
        file = self.folder / f"DEMO-{self._number:03}.mllp"
        shown = subprocess.run(  # noqa: S603 - our own command
            (*COMMAND, "send", str(file), "--to", f"127.0.0.1:{self.gateway.port}"), capture_output=True, check=False, text=True
        ).stdout.splitlines()
        yield from (f"          {line}" for line in shown[2:10] if line.strip())


def _line(sender: str, what: str, answer: str, verdict: str, rule: str, *why: str) -> str:
    return f"{datetime.now(UTC):%H:%M:%S}  {sender:15}  {what:24}  {answer:7}  {verdict:9}  {rule:5} {' '.join(why)}"


def _as_it_is(message: bytes) -> bytes:
    return message


def main(arguments: Sequence[str] = ()) -> int:
    """
    Tell the story in a fresh folder.

    Args:
        arguments: `--servers`: over the broker and the database that AMQP_URL and DATABASE_URL name, both to be thrown away.

    Returns:
        Exit status: 0 if every line ended as it must, 2 where the arguments make no sense.
    """
    several = tuple(arguments) == ("--servers",)
    if (arguments and not several) or (several and not all(os.environ.get(name) for name in _SERVERS)):
        out.print(
            "python -m gateway.demo [--servers]; with --servers AMQP_URL and DATABASE_URL name an empty broker and database"
        )
        return 2
    if not several:
        # Servers that the operator's shell names hold the operator's records.
        for name in _SERVERS:
            os.environ.pop(name, None)
            os.environ.pop(f"{name}_FILE", None)
    # Asked to end, it ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="dmp-gateway-demo-"))
    kind = (
        "a supervisor, a door and two workers over RabbitMQ and PostgreSQL; keys and logs"
        if several
        else "one process, its files"
    )
    out.print(f"dmp-gateway: {kind} in", str(folder))
    story = Story(folder, several=several)
    story.tell()
    out.print("")
    for failure in story.failed:
        out.print(f"NOT AS IT MUST BE: {failure}", style="red")
    installed = Path(sys.prefix, "bin", "dmp-gateway")
    command = str(installed) if installed.exists() else " ".join(COMMAND)
    if several:
        out.print(f"Done in {time.monotonic() - begun:.0f} s. The same over servers of yours: docs/broker.md")
    else:
        out.print(f"Done in {time.monotonic() - begun:.0f} s. Three commands to try:")
        out.print(f"  {command} record show --ins {PATIENT} --data {folder / 'data'}")
        out.print(f"  {command} deposits list --state refused --data {folder / 'data'}")
        out.print(f"  {command} serve      and, in another terminal:   {command} send --example mdm")
    return 1 if story.failed else 0
