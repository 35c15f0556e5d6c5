"""`kill -9` in mid-flight: what was answered AA is there, once."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.demo.messages import framed, renumbered, sample, with_document_id
from gateway.demo.process import COMMAND, GatewayProcess, run_verb

_MESSAGES: Final = 200
_SETTLE_SECONDS: Final = 30.0


def crash(gateway: GatewayProcess, folder: Path, check: Callable[[str, bool, str], None], say: Callable[[str], None]) -> None:
    """
    Send 200 reports, kill the gateway among them, start it again, send again what was not answered; count.

    Args:
        gateway: Running.
        folder: Where the messages are written.
        check: Told whether the count is as it must be.
        say: Told one line.
    """
    report = sample("oru/01-new-report.er7")
    ids = [f"CRASH-{number:03}" for number in range(1, _MESSAGES + 1)]
    messages = {name: renumbered(with_document_id(report, f"9{number:03}"), name) for number, name in enumerate(ids)}
    killed = gateway.killed
    answered = _answered_until_killed(gateway, framed(list(messages.values()), folder / "crash.mllp"))
    gateway.start()
    again = [messages[name] for name in ids if name not in answered]
    _, lines = run_verb(*("send", str(framed(again, folder / "again.mllp")), "--to", f"127.0.0.1:{gateway.port}", "--keep-going"))
    answered |= {line["control_id"] for line in lines if line["answer"] == "AA"}
    stored = _stored(gateway, len(ids))
    once = sum(count == 1 for count in stored.values())
    check("kill -9", len(answered) == len(ids) == once == len(stored), f"{len(answered)} answered AA, {once} stored once")
    say(
        f"          {killed} after {len(ids) - len(again)} of {len(ids)} answers, started again, the others sent again: "
        f"{len(answered)} of {len(ids)} answered AA, {once} of {len(ids)} in the record once"
    )


def _answered_until_killed(gateway: GatewayProcess, file: Path) -> set[str]:
    answered: set[str] = set()
    killed = False
    with subprocess.Popen(  # noqa: S603 - our own command
        (*COMMAND, "send", str(file), "--to", f"127.0.0.1:{gateway.port}", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as sending:
        for line in sending.stdout or ():
            sent = msgspec.json.decode(line)
            if sent["answer"] == "AA":
                answered.add(sent["control_id"])
            if len(answered) == _MESSAGES // 2 and not killed:
                gateway.kill()
                killed = True
    if not killed:
        gateway.kill()
    return answered


def _stored(gateway: GatewayProcess, wanted: int) -> dict[str, int]:
    """Return how often each message's document was stored, once nothing waits."""
    limit = time.monotonic() + _SETTLE_SECONDS
    while True:
        _, lines = run_verb("deposits", "list", "--limit", "100000", "--data", str(gateway.data))
        stored: dict[str, int] = {}
        for line in lines:
            if line["message_id"].startswith("CRASH-") and line["state"] == "stored":
                stored[line["document_ids"][0]] = stored.get(line["document_ids"][0], 0) + 1
        if len(stored) >= wanted or time.monotonic() > limit:
            return stored
        time.sleep(0.1)
