"""
S10: no personal data in a line, by the real process, at log level debug, on every path.

What is sought: names, INS, IPP, addresses, results, titles, remarks, and an MSH-10 that is somebody's NIR; in standard error and
standard output, in every charset and in base64.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gateway.config.load import samples_directory
from gateway.demo.messages import renumbered, sample
from tests.harness.canaries import Canaries
from tests.harness.load import Cut, Wire
from tests.harness.marked import Marked, damaged, report
from tests.harness.rig import Rig
from tests.harness.traffic import DPI_A, RIS_V, VALMONT, Traffic, patients

pytestmark = [pytest.mark.faults, pytest.mark.door]

#: What the samples say of people, in their own words.
SAMPLE_MARKS = (
    "ESSAI-UN",
    "ESSAI-DEUX",
    "ESSAI-TROIS",
    "ESSAI-QUATRE",
    "Allée des Ormes",
    "Impasse du Sacré",
    "MODELE-BIO",
    "MODELE-RADIO",
)
SAMPLE_INS = ("284103523811464", "178032A00402775", "212061305520911", "265079935204242")
SAMPLE_IPP = ("100001^", "100002^", "100003^", "100004^", "A-5501", "A-5502")
EVERY = sorted(path.relative_to(samples_directory()).as_posix() for path in samples_directory().glob("*/*.er7"))


@dataclass
class Day:
    rig: Rig
    marks: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    rig = Rig(
        tmp_path_factory.mktemp("lines") / "run",
        environment={"DMP_GATEWAY_MLLP_FRAME_LIMIT_BYTES": str(512 * 1024), "DMP_GATEWAY_QUEUE_SEALED_LIMIT_BYTES": "131072"},
        arguments=("--log-level", "debug"),
    )
    day = Day(rig)
    people = [
        replace(
            each,
            family=f"QZNOM{letter}QZ",
            given=f"QZPRENOM{letter}",
            local={name: f"QZIPP{letter}{name[:3]}" for name in each.local},
        )
        for letter, each in zip("ABCDE", patients(5, first=300), strict=True)
    ]
    opened, opposed, absent, closed, stated = people
    for who in people:
        day.marks |= {who.ins, who.number, who.family, who.given, who.born, *who.local.values()}
    day.marks |= {*SAMPLE_MARKS, *SAMPLE_INS, *SAMPLE_IPP}
    rig.open_records((opened, opposed, closed))
    rig.oppose(opposed)
    rig.close_record(closed)
    rig.start()
    wire = Wire(rig.gateway.port)

    def send(payload: bytes) -> None:
        nonlocal wire
        try:
            answer = wire.ask(payload)
        except Cut:
            day.answers["cut"] += 1
            wire = Wire(rig.gateway.port)
            return
        day.answers[answer.split(b"MSA|", 1)[1][:2].decode()] += 1

    def marked(message: Marked) -> None:
        day.marks.update(message.marks)
        send(message.payload)

    traffic = Traffic(3)
    # Of a person of their own: the traits that an event tells are those that documents are compared with.
    send(traffic.statement(stated, VALMONT, "allow").payload)
    send(traffic.statement(stated, VALMONT, "oppose").payload)
    for number, who in enumerate((opened, opened, opposed, absent, closed)):
        marked(report(400 + number, who))
        marked(report(410 + number, who, source=RIS_V, charset="UNICODE UTF-8"))
    marked(report(420, opened, of=90_000_400))
    marked(report(421, opened, act="delete", of=90_000_400, source=DPI_A))
    marked(report(422, opened, act="delete", of=90_000_400))
    marked(report(423, opened, charset="8859/15"))
    marked(report(424, opened, filler=256 * 1024))
    marked(report(425, opened, filler=1024 * 1024))
    for number, name in enumerate(EVERY, start=500):
        marked(damaged(number, name))
        # MSH-10 is somebody's NIR, or a name: a sender's mistake that must not become a line.
        for control_id in (SAMPLE_INS[0], f"{SAMPLE_INS[1][:13]}", f"DUPONT-{SAMPLE_INS[2]}", "QZNOMAQZ"):
            send(renumbered(sample(name), control_id) if sample(name).startswith(b"MSH") else sample(name))
    for head in (
        b"MSH|^~\\&|QZNOMAQZ|QZNOMBQZ|||||ORU^QZNOMCQZ|284103523811464|P|2.5\r",
        b"QZNOMAQZ 284103523811464\r",
        b"\0\xff",
    ):
        send(head)
    broken = report(430, opened)
    day.marks.update(broken.marks)
    for cut in (30, 400, 4000, len(broken.payload) - 3):
        other = Wire(rig.gateway.port)
        other.begin(broken.payload[:cut])
        other.close()
    other = Wire(rig.gateway.port)
    other.write(b"QZNOMAQZ 284103523811464 before any frame\r\n")
    other.close()
    day.marks.add("DUPONT-")
    time.sleep(0.3)
    wire.close()
    assert rig.drained()
    rig.gateway.kill()
    rig.start()
    assert rig.stop() == 0
    yield day
    rig.gateway.kill()


def test_every_path_was_walked(day: Day) -> None:
    lines = [json.loads(line) for line in day.rig.log.read_text(encoding="utf-8").splitlines()]
    seen = Counter(line["event"] for line in lines)
    walked = {
        "gateway.started", "gateway.stopped", "connection.opened", "connection.closed", "message.received", "message.answered",
        "message.rejected", "message.deferred", "message.ignored", "deposit.accepted", "deposit.settled", "deposit.refused",
        "event.applied", "batch.applied",
    }  # fmt: skip
    assert walked <= seen.keys(), f"never told: {sorted(walked - seen.keys())}; told: {dict(seen)}"
    codes = {code for line in lines for code in line.get("codes", [])}
    assert {
        "OPPOSED",
        "RECORD_ABSENT",
        "RECORD_CLOSED",
        "OTHER_CONTENT",
        "TOO_LARGE",
        "MESSAGE_TRUNCATED",
        "SOURCE_UNKNOWN",
    } <= codes
    assert {"AA", "AE", "AR"} <= day.answers.keys()
    assert "internal.error" not in seen


def test_no_line_tells_of_a_person(day: Day) -> None:
    canaries = Canaries(mark for mark in day.marks if len(mark) >= 6)
    found = canaries.search_files(day.rig.log) + canaries.search(day.rig.gateway.output, "standard output")
    assert not found, "\n".join(map(str, found))


def test_the_temporary_folder_stayed_empty(day: Day) -> None:
    assert [path for path in day.rig.temporary.rglob("*") if path.is_file()] == []


def test_a_planted_line_is_found(day: Day, tmp_path: Path) -> None:
    planted = tmp_path / "log"
    planted.write_bytes(day.rig.log.read_bytes() + b'{"event":"x","message":"QZNOMAQZ"}\n')
    assert Canaries(day.marks).search_files(planted)
