"""Writes `schemas/`: the JSON Schema of every `--json` output and of the wire header, generated from the model."""

import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway.adapters.http.cda import DepositAnswer
from gateway.cli.db import CheckLine, DatabaseState
from gateway.cli.db_backup import BackupMade
from gateway.cli.db_missing import MissingLine
from gateway.cli.findings import Finding
from gateway.cli.import_file import Fault
from gateway.cli.listen_heard import Heard, Listening
from gateway.cli.parked import ParkedLine, ParkedPage
from gateway.cli.queue_status import LaneLine
from gateway.cli.record_import import ImportSummary
from gateway.cli.send_answers import Sent
from gateway.cli.sources import Checked, SourceLine
from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.queue.rabbitmq.setup import Line
from gateway.queue.wire import Header as WireHeader
from gateway.store.retention import JobDone
from gateway.store.views import DepositLine, DepositPage, RecordPage
from gateway.store.watch_views import MisfiledLine, TaskLine
from gateway.wiring.control import Reply, Request
from gateway.wiring.key_state import KeyState
from gateway.wiring.ready import Ready
from gateway.wiring.working import Working

#: File name → (type, what it describes).
SCHEMAS: Final = MappingProxyType(
    {
        "serve": (Ready, "`serve --json`: one line once every door listens"),
        "worker": (Working, "`worker --json`: one line once the broker hands out deposits"),
        "queue-setup": (Line, "`queue setup --json`: one line per thing that the broker must hold"),
        "queue-status": (LaneLine, "`queue status --json`: one line per lane"),
        "keys-status": (KeyState, "`keys status --json`"),
        "send": (Sent, "`send --json`: one line per message sent"),
        "listen-start": (Listening, "`listen --json`: its first line, once it listens"),
        "listen": (Heard, "`listen --json`: one further line per message"),
        "deposits-list": (DepositLine, "`deposits list --json`: one line per message"),
        "deposits-show": (DepositPage, "`deposits show --json`"),
        "parked-list": (ParkedLine, "`parked list --json`: one line per deposit that is parked"),
        "parked-show": (ParkedPage, "`parked show --json`"),
        "record-show": (RecordPage, "`record show --json`"),
        "outcome": (Outcome, "`record open|close|oppose|lift|merge|unmerge|move|release|task-done --json`: what became of it"),
        "record-import": (ImportSummary, "`record import --json`: its last line"),
        "record-import-fault": (Fault, "`record import --json`: a line for each thing that is wrong with a line of the file"),
        "record-tasks": (TaskLine, "`record tasks --json`: one line per task"),
        "record-misfiled": (MisfiledLine, "`record misfiled --json`: one line per document"),
        "sources-list": (SourceLine, "`sources list --json`: one line per source"),
        "sources-check": (Checked, "`sources check --json`"),
        "doctor": (Finding, "`doctor --json`: one line per finding"),
        "db": (DatabaseState, "`db migrate --json`"),
        "db-check": (CheckLine, "`db check --json`: one line per thing that must always be so"),
        "db-backup": (BackupMade, "`db backup --json`"),
        "db-missing": (MissingLine, "`db missing --json`: one line per message that is missing, oppositions first"),
        "db-retain": (JobDone, "`db retain --json`: one line per job"),
        "wire-header": (WireHeader, "the header of a queued deposit (before sealing), D-11"),
        "record-event": (RecordEvent, "an event of the record as the doors hand it over"),
        "rejection": (Rejection, "what is noted of a message that a door refused"),
        "http-deposit": (DepositAnswer, "what `POST /cda` answers to a document that was taken"),
        "control-request": (Request, "one line to `gateway.sock`"),
        "control-reply": (Reply, "its answer"),
    }
)


def schema(name: str) -> bytes:
    """Return one schema as formatted JSON, with a final newline."""
    kind, text = SCHEMAS[name]
    (reference,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    whole: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"dmp-gateway {name}",
        "description": text,
        **reference,
        "$defs": dict(sorted(components.items())),
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def main(directory: Path) -> None:
    """Write every schema into a folder."""
    directory.mkdir(exist_ok=True)
    for name in SCHEMAS:
        (directory / f"{name}.json").write_bytes(schema(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("schemas"))
