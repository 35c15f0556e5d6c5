"""Which lane a deposit travels in: the only place that turns a patient into a partition (D-10)."""

import hashlib
from typing import Final

from gateway.model.submission import Deposit, Submission

#: Changed only when every lane is drained (D-10).
PARTITIONS: Final = 16

#: A deposit whose wire form is over this many bytes goes to the lane `large` (D-10).
LARGE_BYTES: Final = 1024 * 1024

REQUESTS: Final = "requests"
LARGE: Final = "large"
BULK: Final = "bulk"
#: Of the markers in an embedded queue: one file is one lane.
MIDNIGHT: Final = "midnight"
REPORTS: Final = "reports"
DEPOSITS: Final = tuple(f"deposits.{number}" for number in range(PARTITIONS))

#: Every lane; only those of `CARRYING` hold deposits.
LANES: Final = (REQUESTS, *DEPOSITS, LARGE, BULK, REPORTS)
CARRYING: Final = (*DEPOSITS, LARGE, BULK)

#: What a day must have passed before its keys may go: all that is sealed and outlives seconds (D-7).
MARKED: Final = (*CARRYING, REPORTS)

#: Doors whose deposits must not delay the others: the insurer's night (D-10).
BULK_DOORS: Final = frozenset({"feed"})


def partition(submission: Submission) -> int:
    """
    Return the partition of a submission: the same for every deposit that names the patient first by the same identifier.

    Args:
        submission: Whose patient counts; without an identifier there, the first one of its documents' patients.

    Returns:
        0…15, from eight bytes of BLAKE2b of (authority, value): the same on every machine and in every process. A submission
        without any identifier is in partition 0.

    Source: D-10.
    """
    known = submission.patient.identifiers or tuple(
        identifier for document in submission.documents for patient in document.patients for identifier in patient.identifiers
    )
    if not known:
        return 0
    authority, value = known[0].key
    digest = hashlib.blake2b(f"{authority}\x1f{value}".encode(), digest_size=8, person=b"dmpgw-partition").digest()
    return int.from_bytes(digest, "big") % PARTITIONS


def lane(deposit: Deposit, size: int) -> str:
    """
    Return the lane of a deposit.

    Args:
        deposit: The deposit; its door tells a bulk feed from the rest.
        size: Bytes of its wire form, before sealing.

    Returns:
        One of `CARRYING`. Source: D-10.
    """
    if deposit.reception.door in BULK_DOORS:
        return BULK
    return LARGE if size > LARGE_BYTES else DEPOSITS[partition(deposit.submission)]
