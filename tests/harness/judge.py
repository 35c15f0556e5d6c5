"""
The judge: what the client's ledgers say was answered, against what the store holds (L1–L5).

An unanswered send is *info*: it may or may not have been taken, and counts as recovered where it was.
"""

import json
import re
import sqlite3
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from gateway.store.reader import Reader
from tests.harness import holding
from tests.harness.canaries import Canaries
from tests.harness.ledger import read
from tests.harness.traffic import DEPOSITS, INS_TEST_ROOT, MARK, STATEMENTS

#: Verdicts that the receipt of an AA may carry, by kind of step.
_ENDS: Final = {
    **{kind: {"stored", "replaced", "deleted", "duplicate", "refused"} for kind in DEPOSITS},
    **{kind: {"applied", "duplicate"} for kind in STATEMENTS},
    # What a worker falls for (`tests.harness.poison`): whether its patient's rights let it be parked or not, it is not stored.
    "poison": {"parked", "refused"},
}
_COUNTED: Final = ("lost", "unexpected", "duplicated", "inverted", "against")


@dataclass
class Sent:
    """All that is known of one message: its sends, in order, with their answers."""

    step: dict[str, Any]
    at: list[float] = field(default_factory=list)
    #: (MSA-1, receipt, when) of those answered.
    answers: list[tuple[str, str, float]] = field(default_factory=list)

    @property
    def accepted(self) -> list[tuple[str, float]]:
        """Receipt and instant of each AA."""
        return [(receipt, at) for code, receipt, at in self.answers if code == "AA"]


@dataclass
class Judgement:
    """What a run showed; `violations` names each breach, `late` what took longer than it may."""

    attempt: int = 0
    sends: int = 0
    acknowledged: int = 0
    recovered: int = 0
    refused: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in _COUNTED})
    late: list[str] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        """Whether a promise was broken, however long anything took."""
        return any(self.violations.values())

    @property
    def ok(self) -> bool:
        """Whether nothing was breached, and nothing came late."""
        return not self.broken and not self.late

    def line(self) -> str:
        """Return the line of the report."""
        counted = " ".join(f"{name} {len(self.violations[name])}" for name in ("lost", "unexpected", "duplicated"))
        rest = " ".join(f"{name} {len(self.violations[name])}" for name in ("inverted", "against"))
        return f"attempt {self.attempt} acknowledged {self.acknowledged} {counted} recovered {self.recovered} {rest}"

    def told(self, limit: int = 12) -> str:
        """Return the breaches, for a person."""
        found = [f"{name}: {each}" for name, all_ in [*self.violations.items(), ("late", self.late)] for each in all_]
        return "\n".join([self.line(), *found[:limit], *([f"and {len(found) - limit} more"] if len(found) > limit else [])])


def sent_of(folder: Path) -> tuple[dict[str, Sent], dict[str, list[str]]]:
    """Return the messages by id, and the receipts answered AA by connection, in the order of the answers."""
    messages: dict[str, Sent] = {}
    connections: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.glob("connection-*.jsonl")):
        for line in read(path):
            if line["event"] == "send":
                messages.setdefault(line["id"], Sent(step=line)).at.append(line["at"])
            elif line["event"] == "answer":
                messages[line["id"]].answers.append((line["code"], line["receipt"], line["at"]))
                if line["code"] == "AA":
                    connections[path.stem].append(line["receipt"])
    # A message may go over several connections: what counts is when, not in which ledger it stands.
    for sent in messages.values():
        sent.at.sort()
        sent.answers.sort(key=lambda answer: answer[2])
    return messages, connections


def judge(
    folder: Path,
    data: Path,
    *,
    log: Path | None = None,
    stopped: bool = True,
    database: str | None = None,
    partitioned: bool = False,
) -> Judgement:
    """
    Judge a run whose queue has drained.

    Args:
        folder: The ledgers of the load.
        data: The data directory.
        log: Standard error of the gateway; an internal error in it is unexpected.
        stopped: The gateway has stopped, so that its files can be searched for what a refusal must not leave.
        database: Where the record is if not in the data directory's file.
        partitioned: Order is kept for each patient of an establishment, not for all (D-10).
    """
    messages, connections = sent_of(folder)
    found = Judgement(attempt=len(messages), sends=sum(len(sent.at) for sent in messages.values()))
    with _Rows(data, database) as rows:
        found.verdicts = dict(Counter(row["verdict"] for row in rows.receipts.values()))
        found.refused = found.verdicts.get("refused", 0)
        # Whether they were answered or not: the process may have died of it first.
        poison = [row["id"] for name, sent in messages.items() if sent.step["kind"] == "poison" for row in rows.by_message[name]]
        _answers(found, messages, rows)
        _effects(found, messages, rows)
        _order(found, messages, connections, rows, partitioned=partitioned)
        _oppositions(found, messages, rows)
        if stopped:
            _leftovers(found, messages, rows, data)
    waiting = rows_waiting(data)
    if waiting:
        found.violations["lost"].append(f"{waiting} deposits still wait in the queue")
    if log is not None and log.exists():
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if '"deposit.parked"' in line and any(receipt in line for receipt in poison):
                continue
            if '"internal.error"' in line or "Traceback" in line or '"deposit.parked"' in line:
                found.violations["unexpected"].append(f"log: {line[:300]}")
    return found


def rows_waiting(data: Path) -> int:
    """Return how many deposits wait in the queue's file."""
    if not (data / "queue.db").exists():
        return 0
    connection = sqlite3.connect(f"{(data / 'queue.db').absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
    try:
        return int(connection.execute("SELECT count(*) FROM queued").fetchone()[0])
    finally:
        connection.close()


def effects(data: Path, database: str | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a resend must not change: documents, marks, statements, bindings, records, identifiers, sources."""
    with holding.queried(data, database) as rows:
        return {
            table: sorted((tuple(row.values()) for row in rows(f"SELECT * FROM {table}")), key=repr)
            for table in (
                "document",
                "mark",
                "statement",
                "statement_identifier",
                "binding",
                "record",
                "identifier",
                "source_form",
            )
        }


class _Rows:
    """The rows of the store that are judged, read once."""

    def __init__(self, data: Path, database: str | None = None) -> None:
        self._stack = ExitStack()
        self.all = self._stack.enter_context(holding.queried(data, database))
        self.reader: Reader = self._stack.enter_context(holding.reader(data, database))
        self.receipts = {row["id"]: row for row in self.all("SELECT * FROM receipt")}
        self.documents = {row["unique_id"]: row for row in self.all("SELECT * FROM document")}
        self.marks = {row["unique_id"]: row for row in self.all("SELECT * FROM mark")}
        self.by_message: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.receipts.values():
            self.by_message[row["message_id"]].append(row)
        self.statements: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.all(
            "SELECT statement.*, receipt.message_id FROM statement JOIN receipt ON receipt.id = statement.receipt"
        ):
            self.statements[row["message_id"]].append(row)
        self.named: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.all("SELECT * FROM statement_identifier"):
            self.named[row["statement"]].append(row)
        self.traces: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.all("SELECT * FROM trace ORDER BY sequence"):
            self.traces[row["receipt"]].append(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _answers(found: Judgement, messages: dict[str, Sent], rows: _Rows) -> None:
    """L1: every AA ended in one outcome that its kind allows; what was answered AE or came from nowhere is not there."""
    unexpected = found.violations["unexpected"]
    for name, sent in messages.items():
        codes = {code for code, _, _ in sent.answers}
        found.acknowledged += "AA" in codes
        heard = {receipt for _, receipt, _ in sent.answers}
        found.recovered += any(row["id"] not in heard for row in rows.by_message[name])
        if sent.step["kind"] == "hostile":
            if codes - {"AE", "AR"} or any(row["verdict"] != "rejected" for row in rows.by_message[name]):
                unexpected.append(f"{name}: a hostile message answered {sorted(codes)}")
        else:
            _promise(found, name, sent, codes, rows)
        if len(rows.by_message[name]) > len(sent.at):
            unexpected.append(f"{name}: {len(rows.by_message[name])} outcomes of {len(sent.at)} sends")
    for row in rows.receipts.values():
        # Messages without a usable MSH-10 have none to be found by, and the operator's verbs have none at all.
        if row["door"] == "mllp" and row["message_id"] and row["message_id"] not in messages:
            unexpected.append(f"{row['message_id']}: an outcome of what nobody sent")


def _promise(found: Judgement, name: str, sent: Sent, codes: set[str], rows: _Rows) -> None:
    kind = sent.step["kind"]
    if codes - {"AA", "AR"} or "AA" not in codes:
        found.violations["unexpected"].append(f"{name}: {kind} answered {sorted(codes)}")
    for receipt, _ in sent.accepted:
        row = rows.receipts.get(receipt)
        if row is None:
            found.violations["lost"].append(f"{name}: answered AA, no outcome under {receipt}")
        elif row["verdict"] not in _ENDS[kind]:
            found.violations["unexpected"].append(f"{name}: {kind} ended as {row['verdict']}")


def _effects(found: Judgement, messages: dict[str, Sent], rows: _Rows) -> None:
    """L1, L2: the effects of each outcome are there, once, and no others."""
    _documents(found, messages, rows)
    for name, sent in messages.items():
        if sent.step["kind"] in STATEMENTS:
            _statement(found, name, rows)
        elif sent.step["kind"] in DEPOSITS:
            _deposit(found, name, sent.step, rows)
    _lives(found, messages, rows)


def _documents(found: Judgement, messages: dict[str, Sent], rows: _Rows) -> None:
    for row in rows.all("SELECT count(*) AS times, unique_id FROM document GROUP BY unique_id HAVING count(*) > 1"):
        found.violations["duplicated"].append(f"document {row['unique_id']} is there {row['times']} times")
    sources = {row["receipt"] for row in rows.all("SELECT receipt FROM source_form")}
    parts = {(row["receipt"], row["part"]) for row in rows.all("SELECT receipt, part FROM source_part")}
    brought = {sent.step["document"] for sent in messages.values()}
    for document in rows.documents.values():
        if document["unique_id"] not in brought:
            found.violations["unexpected"].append(f"document {document['unique_id']}: nobody sent it")
        if document["part"] is not None and (document["receipt"], document["part"]) not in parts:
            found.violations["lost"].append(f"document {document['unique_id']}: its bytes are not there")
    kept = {row["receipt"] for row in rows.documents.values() if row["part"] is not None}
    found.violations["unexpected"].extend(f"bytes of {receipt}: no document has them" for receipt in sources - kept)


def _statement(found: Judgement, name: str, rows: _Rows) -> None:
    outcomes = [row["verdict"] for row in rows.by_message[name]]
    number = len(rows.statements[name])
    if number != bool(outcomes):
        found.violations["duplicated" if number else "lost"].append(f"{name}: {number} statements, outcomes {outcomes}")
    if outcomes.count("applied") > 1:
        found.violations["duplicated"].append(f"{name}: applied {outcomes.count('applied')} times")


def _deposit(found: Judgement, name: str, step: dict[str, Any], rows: _Rows) -> None:
    kind, document = step["kind"], step["document"]
    outcomes = [row["verdict"] for row in rows.by_message[name]]
    took = sum(verdict in {"stored", "replaced", "deleted"} for verdict in outcomes)
    if took > 1:
        found.violations["duplicated"].append(f"{name}: took effect {took} times: {outcomes}")
    for row in rows.by_message[name]:
        lines = [trace for trace in rows.traces[row["id"]] if trace["action"] == f"document.{kind}"]
        if len(lines) != 1:
            found.violations["duplicated" if lines else "lost"].append(f"{name}: {len(lines)} lines of trace under {row['id']}")
    there = rows.documents.get(document)
    life = there["state"] if there else "marked" if document in rows.marks else "not there"
    if kind == "delete":
        if took and life not in {"deleted", "marked"}:
            found.violations["lost"].append(f"{name}: deleted, and the document {document} is {life}")
    elif bool(took) != (there is not None):
        found.violations["lost" if took else "unexpected"].append(f"{name}: {outcomes}, and the document {document} is {life}")


def _lives(found: Judgement, messages: dict[str, Sent], rows: _Rows) -> None:
    """L3: where nothing of a strand was refused, its documents end as if it had come in order, once."""
    strands: dict[int, list[Sent]] = defaultdict(list)
    for sent in messages.values():
        if sent.step["kind"] in DEPOSITS:
            strands[sent.step["strand"]].append(sent)
    for strand in strands.values():
        names = [sent.step["id"] for sent in strand]
        if any(row["verdict"] == "refused" for name in names for row in rows.by_message[name]):
            continue
        expected: dict[str, str] = {}
        for sent in sorted(strand, key=lambda each: str(each.step["id"])):
            if not sent.accepted:
                break
            document = sent.step["document"]
            if sent.step["kind"] == "replace":
                expected = dict.fromkeys(expected, "replaced")
            expected[document] = "deleted" if sent.step["kind"] == "delete" else "current"
        else:
            for document, life in expected.items():
                there = rows.documents.get(document)
                if there is None or there["state"] != life:
                    found.violations["lost"].append(
                        f"document {document} is {there['state'] if there else 'not there'}, not {life}"
                    )


def _order(
    found: Judgement, messages: dict[str, Sent], connections: dict[str, list[str]], rows: _Rows, *, partitioned: bool
) -> None:
    """L3: what one connection deposited one after the other took effect in that order; where there are lanes, in each."""
    steps = {receipt: sent.step for sent in messages.values() for receipt, _ in sent.accepted}
    kinds = {receipt: step["kind"] for receipt, step in steps.items()}
    for connection, receipts in connections.items():
        lasts: dict[tuple[str, ...], int] = defaultdict(int)
        for receipt in receipts:
            lines = rows.traces.get(receipt)
            if kinds.get(receipt) not in DEPOSITS or not lines:
                continue
            step = steps[receipt]
            lane = (step["patient"], step["establishment"]) if partitioned else ()
            if lines[0]["sequence"] < lasts[lane]:
                found.violations["inverted"].append(f"{connection}: {receipt} took effect before what it sent earlier")
            lasts[lane] = lines[0]["sequence"]


def _oppositions(found: Judgement, messages: dict[str, Sent], rows: _Rows) -> None:
    """L4: by the client's clock, by the statements in force afterwards, and by the query of the DPO."""
    against = found.violations["against"]
    told: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for sent in messages.values():
        if sent.step["kind"] in STATEMENTS:
            told[sent.step["patient"], sent.step["establishment"]].append(sent)
    named = rows.all(f"SELECT patient, value FROM identifier WHERE authority = '{INS_TEST_ROOT}'")
    insof = {row["patient"]: row["value"] for row in named}
    for document in rows.documents.values():
        committed = datetime.fromisoformat(document["committed_at"]).timestamp()
        for establishment in json.loads(document["establishments"]):
            about = told.get((insof.get(document["patient"], ""), establishment), [])
            lifted = max(
                (sent.step["rank"] for sent in about if sent.step["kind"] == "allow" and sent.at[0] < committed), default=0
            )
            for sent in about:
                answered = min((at for _, at in sent.accepted), default=None)
                opposes = sent.step["kind"] == "oppose" and sent.step["rank"] > lifted
                if opposes and answered is not None and answered < committed:
                    against.append(f"document {document['unique_id']} committed after the answer to {sent.step['id']}")
    against.extend(f"{receipt} stored against {statement}" for receipt, statement in rows.reader.stored_against_an_opposition())
    for (patient, establishment), about in told.items():
        against.extend(_in_force(about, rows, rows.reader, patient, establishment))


def _in_force(about: list[Sent], rows: _Rows, reader: Reader, patient: str, establishment: str) -> list[str]:
    """Return what is wrong: the latest statement counts, under whichever of the patient's identifiers it is held."""
    latest = max(about, key=lambda sent: int(sent.step["rank"]))
    if not latest.accepted:
        return []
    mine = {row["id"] for row in rows.statements[latest.step["id"]]}
    held = [row["id"] for sent in about for row in rows.statements[sent.step["id"]]]
    named = {(INS_TEST_ROOT, patient)} | {(row["authority"], row["value"]) for each in held for row in rows.named[each]}
    pages = [page for authority, value in named if (page := reader.record(authority, value, datetime.now(UTC))) is not None]
    lines = {
        (line.id, line.in_force) for page in pages for line in page.statements if line.statement.collected_by == establishment
    }
    told = f"{latest.step['id']}: {latest.step['kind']} is the latest at {establishment}"
    if not mine & {identifier for identifier, _ in lines}:
        return [f"{told}, and binds nobody"]
    if latest.step["kind"] == "oppose":
        return [] if any(identifier in mine and stands for identifier, stands in lines) else [f"{told}, and is not in force"]
    # One patient holds them all: nothing older may stand. Until a link joins them, each keeps its own.
    linked = len({page.identifiers for page in pages}) == 1
    return [f"{told}, and an opposition is in force"] if linked and any(stands for _, stands in lines) else []


def _leftovers(found: Judgement, messages: dict[str, Sent], rows: _Rows, data: Path) -> None:
    """L5: of documents that are not in the record no mark is left in any file."""
    # A document that came after its deletion keeps its row, without bytes: `_documents` sees to that.
    kept = {unique_id.rsplit(".", 1)[1] for unique_id in rows.documents}
    marked = re.compile(rb"(\d{8})")
    for place, after in Canaries([MARK]).followed_by(data, 8):
        number = marked.match(after)
        if number is not None and number.group(1).decode() not in kept:
            found.violations["unexpected"].append(f"{place}: a mark of {number.group(1).decode()}, which is not in the record")
