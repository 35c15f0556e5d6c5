"""
S8: what a neighbour on the broker or on the network may try. Sealed messages forged, moved and replayed; senders that call
themselves another; receipt ids made up. None is accepted.
"""

import asyncio
import struct
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from gateway.adapters.hl7v2.session import Session
from gateway.mappers.hl7v2.ack import read_ack
from gateway.model.event import PatientEvent, RecordEvent
from gateway.model.outcome import Outcome
from gateway.model.submission import Reception
from gateway.model.verdict import Verdict
from gateway.queue import lanes, request, wire
from gateway.queue.errors import Unopened
from gateway.queue.keys import Keys, Ring, initialise
from gateway.queue.rabbitmq.consumer import Taken
from gateway.queue.rabbitmq.replies import sealed_reply
from gateway.queue.rabbitmq.serving import Requests
from gateway.queue.receipt import MacReceipts
from gateway.queue.seal import open_sealed, seal
from tests.harness.breach import Breach
from tests.strategies.messages import ADT_IO
from tests.strategies.messages import Message as Written
from tests.strategies.submissions import deposit
from tests.unit.mllp.doubles import ADMITTED, SETTINGS, CountedReceipts, FixedClock, KeptDeposits, KeptEvents, sample

LANE, RECEIPT, OTHER = "deposits.3", "01KAJX-ris-9K2F", "01KAJX-ris-9K2G"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PAYLOAD = wire.encode(deposit())


class Standing:
    def now(self) -> datetime:
        return NOW


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Keys, Keys]:
    """The keys of this installation, and those of another."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        initialise(folder / name, Standing())
    return Keys.open(folder / "ours", Standing()), Keys.open(folder / "theirs", Standing())


def sealed(keys: Keys, *, lane: str = LANE, receipt: str = RECEIPT, ring: Ring = Ring.FLOW, payload: bytes = PAYLOAD) -> bytes:
    return seal(payload, keys=keys, lane=lane, receipt=receipt, ring=ring)


def labelled(message: bytes, *, ring: int | None = None, day: int = 0, lane: str = LANE, receipt: str = RECEIPT) -> bytes:
    """A captured message with its label written anew: what stands behind it is as it was."""
    version, old_ring, old_day = struct.unpack_from(">BBI", message)
    first = 6 + 1 + message[6]
    start = first + 1 + message[first]
    head = struct.pack(">BBI", version, old_ring if ring is None else ring, old_day + day)
    return head + bytes((len(lane),)) + lane.encode() + bytes((len(receipt),)) + receipt.encode() + message[start:]


def body_of(message: bytes) -> int:
    """Where the nonce begins."""
    first = 6 + 1 + message[6]
    return first + 1 + message[first]


Forge = Callable[[Keys, Keys], bytes]
FORGED: dict[str, Forge] = {
    "a deposit in clear": lambda _, __: PAYLOAD,
    "JSON": lambda _, __: b'{"reception":{},"submission":{}}',
    "nothing": lambda _, __: b"",
    "a message as it came": lambda _, __: sample("oru/01"),
    "the seal of another installation": lambda _, theirs: sealed(theirs),
    "our label before another's seal": lambda ours, theirs: (
        sealed(ours)[: body_of(sealed(ours))] + sealed(theirs)[body_of(sealed(theirs)) :]
    ),
    "a deposit in clear behind our label": lambda ours, _: (
        sealed(ours)[: body_of(sealed(ours))] + bytes(12) + PAYLOAD + bytes(16)
    ),
    "zeros behind our label": lambda ours, _: sealed(ours)[: body_of(sealed(ours))] + bytes(400),
    "no content and no tag": lambda ours, _: sealed(ours)[: body_of(sealed(ours)) + 12],
    "a tag of zeros": lambda ours, _: sealed(ours)[:-16] + bytes(16),
    "a tag cut to fifteen": lambda ours, _: sealed(ours)[:-1],
    "a tag cut to four": lambda ours, _: sealed(ours)[:-12],
    "the tag of another": lambda ours, _: sealed(ours)[:-16] + sealed(ours)[-16:],
    "the nonce of another": lambda ours, _: (
        sealed(ours)[: body_of(sealed(ours))] + bytes(12) + sealed(ours)[body_of(sealed(ours)) + 12 :]
    ),
    "the content of two, halved": lambda ours, _: sealed(ours)[:200] + sealed(ours)[200:],
    "one more byte": lambda ours, _: sealed(ours) + b"\0",
    "one more tag": lambda ours, _: sealed(ours) + bytes(16),
    "twice the same": lambda ours, _: sealed(ours) * 2,
    "version 0": lambda ours, _: b"\0" + sealed(ours)[1:],
    "version 2": lambda ours, _: b"\2" + sealed(ours)[1:],
    "version 255": lambda ours, _: b"\xff" + sealed(ours)[1:],
    "what is parked, as it is": lambda ours, _: sealed(ours, ring=Ring.PARKING),
    "what is parked, relabelled": lambda ours, _: labelled(sealed(ours, ring=Ring.PARKING), ring=Ring.FLOW),
    "a ring that is none": lambda ours, _: labelled(sealed(ours), ring=9),
    "yesterday's day": lambda ours, _: labelled(sealed(ours), day=-1),
    "tomorrow's day": lambda ours, _: labelled(sealed(ours), day=1),
    "next year's day": lambda ours, _: labelled(sealed(ours), day=365),
    "another receipt's": lambda ours, _: sealed(ours, receipt=OTHER),
    "another receipt's, relabelled": lambda ours, _: labelled(sealed(ours, receipt=OTHER)),
    "a receipt that is longer by a NUL": lambda ours, _: labelled(sealed(ours), receipt=f"{RECEIPT}\0"),
    "a label of no length": lambda ours, _: sealed(ours)[:6] + b"\0\0" + sealed(ours)[body_of(sealed(ours)) :],
    "a label past its end": lambda ours, _: sealed(ours)[:6] + b"\xff" + sealed(ours)[7:],
    "a reply": lambda ours, _: sealed_reply(
        request.EventReply(outcome=Outcome(verdict=Verdict.STORED)), keys=ours, receipt=RECEIPT
    ),
    **{
        f"the lane {lane}'s{told}": (lambda ours, _, lane=lane, how=how: how(sealed(ours, lane=lane)))
        for lane in (*lanes.LANES, "replies", "midnight")
        if lane != LANE
        for told, how in (("", bytes), (", relabelled", labelled))
    },
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_or_moved_message_opens_nowhere(name: str, rings: tuple[Keys, Keys]) -> None:
    message = FORGED[name](*rings)
    try:
        open_sealed(message, keys=rings[0], lane=LANE, receipt=RECEIPT)
    except Unopened:
        return
    raise Breach(f"opened: {name}")


def test_what_a_door_of_ours_sealed_opens(rings: tuple[Keys, Keys]) -> None:
    message = sealed(rings[0])
    assert open_sealed(message, keys=rings[0], lane=LANE, receipt=RECEIPT) == PAYLOAD
    assert labelled(message) == message
    assert len(FORGED) >= 60


# -- oppositions asked for over the broker


class Lane:
    """A lane that hands out what it was given, once."""

    def __init__(self) -> None:
        self.waiting: list[Taken] = []
        self.acknowledged: list[Taken] = []
        self.lock = threading.Lock()

    def put(self, body: bytes, *, receipt: str = RECEIPT) -> None:
        told = {"id": 1, "tag": 1, "epoch": 1, "lane": lanes.REQUESTS, "reply_to": "somewhere", "received_at": ""}
        with self.lock:
            self.waiting.append(Taken(**told, receipt=receipt, body=body))

    def next(self, *_: object) -> list[Taken]:
        with self.lock:
            given, self.waiting = self.waiting[:1], self.waiting[1:]
        if not given:
            time.sleep(0.01)
        return given

    def acknowledge(self, taken: list[Taken]) -> None:
        self.acknowledged += taken


def opposition(*, deadline: datetime = NOW + timedelta(seconds=5)) -> request.EventRequest:
    door = KeptEvents()
    session = Session(
        directory=ADMITTED,
        environment="test",
        deposits=KeptDeposits(),
        events=door,
        receipts=CountedReceipts(),
        clock=FixedClock(),
    )
    asyncio.run(session.answer("\r".join(Written(ADT_IO).lines).encode()))
    ((reception, event, _),) = door.submitted
    assert isinstance(event, PatientEvent) and event.statements
    return request.EventRequest(reception=reception, event=event, deadline=deadline)


def served(keys: Keys, *bodies: tuple[bytes, str]) -> tuple[list[str], list[str], list[Any]]:
    """Hand bodies to a worker: receipts of what it applied, of what it could not open, and its replies."""
    applied, unopened, lane, sent = [], [], Lane(), []

    def submit(reception: Reception, _: RecordEvent, __: datetime) -> Outcome:
        applied.append(reception.receipt)
        return Outcome(verdict=Verdict.APPLIED)

    for body, receipt in bodies:
        lane.put(body, receipt=receipt)
    worker = Requests(
        lane,
        SimpleNamespace(send=sent.append),
        keys,
        clock=Standing(),
        submit=submit,
        unopened=lambda receipt, _: unopened.append(receipt),
    )
    limit = time.monotonic() + 10
    while len(lane.acknowledged) < len(bodies) and time.monotonic() < limit:
        time.sleep(0.005)
    worker.stop()
    assert len(lane.acknowledged) == len(bodies), "the worker did not take them"
    return applied, unopened, sent


def asked(keys: Keys, made: request.EventRequest, *, lane: str = lanes.REQUESTS, receipt: str = RECEIPT) -> tuple[bytes, str]:
    return seal(request.encode(made), keys=keys, lane=lane, receipt=receipt), RECEIPT


def test_an_opposition_that_no_door_sealed_is_never_applied(rings: tuple[Keys, Keys]) -> None:
    ours, theirs = rings
    made = opposition()
    forged = [
        (request.encode(made), RECEIPT),
        asked(theirs, made),
        asked(ours, made, lane="deposits.0"),
        asked(ours, made, receipt=OTHER),
        (labelled(asked(ours, made, receipt=OTHER)[0], lane=lanes.REQUESTS), RECEIPT),
        (seal(PAYLOAD, keys=ours, lane=lanes.REQUESTS, receipt=RECEIPT), RECEIPT),
        (seal(request.encode(request.EventReply()), keys=ours, lane=lanes.REQUESTS, receipt=RECEIPT), RECEIPT),
        (seal(b"", keys=ours, lane=lanes.REQUESTS, receipt=RECEIPT), RECEIPT),
        (b"", RECEIPT),
    ]
    applied, unopened, sent = served(ours, *forged)
    if applied or sent:
        raise Breach(f"{len(applied)} forged oppositions were applied, {len(sent)} answered")
    assert len(unopened) == len(forged)
    assert served(ours, asked(ours, made))[0] == [made.reception.receipt]


def test_an_opposition_that_was_captured_is_not_begun_after_its_deadline(rings: tuple[Keys, Keys]) -> None:
    for late in (timedelta(), timedelta(microseconds=-1), timedelta(days=-1)):
        applied, _, sent = served(rings[0], asked(rings[0], opposition(deadline=NOW + late)))
        if applied or sent:
            raise Breach("a replay was applied")


def test_an_opposition_that_is_replayed_in_time_keeps_its_receipt(rings: tuple[Keys, Keys]) -> None:
    """The store knows it again by that (`tests/contract/store/test_deposits.py`): a replay cannot pass for a new statement."""
    made = opposition()
    message = asked(rings[0], made)
    assert served(rings[0], message, message)[0] == [made.reception.receipt] * 2


# -- who a message says it is

SPOOFED = {
    "a source of another connection": ("DPI-A", "CLINIQUE-AUBIER"),
    "another facility of the same application": ("SIL-V", "CLINIQUE-AUBIER"),
    "another application of the same facility": ("DPI-A", "CHU-VALMONT"),
    "nobody": ("", ""),
    "null": ('""', '""'),
    "an application alone": ("SIL-V", ""),
    "a facility alone": ("", "CHU-VALMONT"),
    "exchanged": ("CHU-VALMONT", "SIL-V"),
    "small letters": ("sil-v", "chu-valmont"),
    "a blank behind": ("SIL-V ", "CHU-VALMONT"),
    "a blank in front": (" SIL-V", "CHU-VALMONT"),
    "a no-break space": ("SIL-V\u00a0", "CHU-VALMONT"),
    "a zero-width space": ("SIL\u200b-V", "CHU-VALMONT"),
    "another script": ("SІL-V", "CHU-VALMONT"),
    "full-width letters": ("ＳＩＬ-V", "CHU-VALMONT"),
    "another hyphen": ("SIL\u2010V", "CHU-VALMONT"),
    "an accent apart": ("SIL-V\u0301", "CHU-VALMONT"),
    "a wildcard": ("*", "*"),
    "a pattern": ("SIL-%", "CHU-%"),
    "SQL": ("SIL-V' OR '1'='1", "CHU-VALMONT"),
    "an escaped NUL": ("SIL-V\\X00\\", "CHU-VALMONT"),
    "an escaped line end": ("SIL-V\\X0D\\", "CHU-VALMONT"),
    "two, the second one known": ("X~SIL-V", "CHU-VALMONT"),
    "known in its second component": ("X^SIL-V", "CHU-VALMONT"),
    "known in its second sub-component": ("X&SIL-V", "CHU-VALMONT"),
    "the id of a source": ("sil-valmont", "chu-valmont"),
    "its FINESS": ("SIL-V", "990000018"),
}


@pytest.mark.parametrize("name", SPOOFED)
@pytest.mark.parametrize("message", ["oru/01", "adt/02"])
def test_a_message_chooses_among_what_its_connection_admits_and_never_beyond(name: str, message: str) -> None:
    application, facility = SPOOFED[name]
    lines = sample(message).split(b"\r")
    cells = lines[0].split(b"|")
    cells[2:4] = application.encode(), facility.encode()
    door = Session(
        directory=SETTINGS.directory.admitted(("sil-valmont", "gam-valmont")),
        environment="test",
        deposits=(deposits := KeptDeposits()),
        events=(events := KeptEvents()),
        receipts=CountedReceipts(),
        clock=FixedClock(),
    )
    answer = read_ack(asyncio.run(door.answer(b"\r".join([b"|".join(cells), *lines[1:]]))))
    if deposits.published or events.submitted:
        raise Breach(f"taken from {application!r} of {facility!r}")
    assert (answer.code, answer.errors[0].code) in {("AR", "SOURCE_UNKNOWN"), ("AE", "UNSTORABLE_TEXT")}
    assert not deposits.reported or answer.code == "AE"


# -- receipt ids


def test_a_receipt_id_that_was_made_up_is_none_of_ours() -> None:
    ours, theirs = MacReceipts(b"\1" * 32), MacReceipts(b"\2" * 32)
    good = ours.issue("ris-valmont", NOW)
    assert ours.verify(good) is not None
    time_part, source, mac = good[:22], good[23:-9], good[-8:]
    made_up = {
        theirs.issue("ris-valmont", NOW),
        *(good[:place] + ("0" if good[place] != "0" else "1") + good[place + 1 :] for place in range(len(good))),
        *(good[:length] for length in range(len(good))),
        f"{time_part}-sil-valmont-{mac}",
        f"{time_part}-{source}-{'0' * 8}",
        f"{time_part}-{source}",
        f"{time_part}-{source}-{source}-{mac}",
        good.lower(),
        f"{good} ",
        f" {good}",
        f"{good}\n",
        f"{good}\0",
        f"{good}-{mac}",
        good.replace("-", "\u2010"),
        good.translate({ord(each): ord(each) + 0xFEE0 for each in "0123456789"}),
        good * 2,
        "../" + good,
        "",
        "x" * 100_000,
    } - {good}
    accepted = [each for each in made_up if ours.verify(each) is not None]
    if accepted:
        raise Breach(f"taken for ours: {accepted}")
    assert len(made_up) > 60


def test_the_wire_names_no_class() -> None:
    """What a header may hold is closed: nothing in it chooses what is made of it."""
    (length,) = struct.unpack_from(">I", PAYLOAD, 1)
    head = msgspec.json.decode(PAYLOAD[5 : 5 + length])
    for key in ("__class__", "py/object", "@type", "$type", "!python/object"):
        text = msgspec.json.encode({**head, key: "os.system"})
        with pytest.raises(Unopened):
            wire.decode(struct.pack(">BI", 1, len(text)) + text + PAYLOAD[5 + length :])


def test_keys_that_others_may_read_are_not_used(tmp_path: Path) -> None:
    initialise(tmp_path / "keys", Standing())
    for path in (tmp_path / "keys").iterdir():
        path.chmod(0o640)
    with pytest.raises(Exception, match="keys"):
        Keys.open(tmp_path / "keys", Standing())
