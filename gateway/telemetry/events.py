"""
What happens, each thing a frozen type (noun and past verb) that writes its own line and moves its own counters.

Nothing else formats a line. One line at level `info` per message tells the whole of it (`deposit.accepted`, `event.applied`,
`message.rejected`…); the others are for following a message through the rooms.
"""

from typing import Final

from gateway.telemetry.answer_events import AnswerDropped, AnswersRecovered, AnswerUnnoted, MessageDecided
from gateway.telemetry.door_events import (
    CertificatesRefused,
    CertificatesReloaded,
    ConnectionClosed,
    ConnectionOpened,
    ConnectionRefused,
    DoorClosed,
    DoorOpened,
    GatewayStarted,
    GatewayStopped,
    MessageAnswered,
    MessageDeferred,
    MessageIgnored,
    MessageReceived,
    MessageRejected,
    ProcessEnded,
    ProcessUnstarted,
)
from gateway.telemetry.error_events import InternalError, LibraryFailed, LibraryNoted, LibraryWarned
from gateway.telemetry.event import Event
from gateway.telemetry.http_events import RequestAnswered, RequestRefused
from gateway.telemetry.key_events import KeysErased, KeysProblem, KeysRetained, LanePassed
from gateway.telemetry.record_events import (
    BatchApplied,
    DepositAccepted,
    DepositParked,
    DepositRefused,
    DepositSettled,
    EventApplied,
    EventRefused,
    LanesMissed,
    LanesRecovered,
    ParkedUnjudged,
    QueueProblem,
    QueueRecovered,
    ReportDropped,
    StoreProblem,
    StoreRecovered,
    UpkeepDelayed,
    UpkeepEnded,
    UpkeepErased,
    reason_of,
)

#: Every event.
EVENTS: Final[tuple[type[Event], ...]] = (
    GatewayStarted, GatewayStopped, ProcessEnded, ProcessUnstarted,
    CertificatesReloaded, CertificatesRefused,
    DoorOpened, DoorClosed, ConnectionOpened, ConnectionClosed, ConnectionRefused,
    MessageReceived, MessageAnswered, MessageDecided, AnswerDropped, MessageRejected, MessageIgnored, MessageDeferred,
    RequestAnswered, RequestRefused,
    DepositAccepted, DepositSettled, DepositRefused, DepositParked, ParkedUnjudged, EventApplied, EventRefused, BatchApplied,
    QueueProblem, QueueRecovered, LanesMissed, LanesRecovered, StoreProblem, StoreRecovered,
    UpkeepErased, UpkeepEnded, UpkeepDelayed, ReportDropped,
    AnswerUnnoted, AnswersRecovered, LanePassed, KeysErased, KeysRetained, KeysProblem,
    InternalError, LibraryWarned, LibraryNoted, LibraryFailed,
)  # fmt: skip

__all__ = [
    "EVENTS",
    "AnswerDropped",
    "AnswerUnnoted",
    "AnswersRecovered",
    "BatchApplied",
    "CertificatesRefused",
    "CertificatesReloaded",
    "ConnectionClosed",
    "ConnectionOpened",
    "ConnectionRefused",
    "DepositAccepted",
    "DepositParked",
    "DepositRefused",
    "DepositSettled",
    "DoorClosed",
    "DoorOpened",
    "Event",
    "EventApplied",
    "EventRefused",
    "GatewayStarted",
    "GatewayStopped",
    "InternalError",
    "KeysErased",
    "KeysProblem",
    "KeysRetained",
    "LanePassed",
    "LanesMissed",
    "LanesRecovered",
    "LibraryFailed",
    "LibraryNoted",
    "LibraryWarned",
    "MessageAnswered",
    "MessageDecided",
    "MessageDeferred",
    "MessageIgnored",
    "MessageReceived",
    "MessageRejected",
    "ParkedUnjudged",
    "ProcessEnded",
    "ProcessUnstarted",
    "QueueProblem",
    "QueueRecovered",
    "ReportDropped",
    "RequestAnswered",
    "RequestRefused",
    "StoreProblem",
    "StoreRecovered",
    "UpkeepDelayed",
    "UpkeepEnded",
    "UpkeepErased",
    "reason_of",
]
