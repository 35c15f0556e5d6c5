"""How `listen` answers: decided by the number of a message and nothing else, so that a run can be had again."""

import enum
import hashlib
from typing import Final

import msgspec

#: As many values as eight bytes of a hash can have.
_ROLLS: Final = 1 << 64


class Act(enum.StrEnum):
    """What is done about one message."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    #: No answer; the connection stays.
    NEVER = "never"
    #: The connection is closed instead of an answer.
    DROP = "drop"


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How messages are answered."""

    answer: Act = Act.AA
    #: `answer` and `wrong_id` are for each message whose number this divides; the others get a true AA.
    every: int = 1
    #: Seconds before an answer.
    delay: float = 0.0
    #: Share of the messages, 0 to 1, that are answered by the end of their connection.
    drop: float = 0.0
    seed: int = 0
    #: HL7 table 0357, or one of the gateway's problem codes; empty: 207.
    code: str = ""
    #: ERR-8 of an AE or AR, MSA-3 of an AA.
    text: str = ""
    #: MSA-2 names another message.
    wrong_id: bool = False
    #: HL7 table 0211; None: that of the message.
    charset: str | None = None
    #: Each connection is closed after its first answer.
    one_shot: bool = False
    #: Seconds between the bytes of an answer; 0: all at once.
    trickle: float = 0.0


class Decision(msgspec.Struct, frozen=True):
    """What is done about one message."""

    act: Act
    #: MSA-2 names another message.
    wrong_id: bool = False
    #: It is one of those that `Manner.every` chooses.
    chosen: bool = False


def decide(manner: Manner, number: int) -> Decision:
    """
    Return what is done about a message.

    Args:
        manner: As the command line says.
        number: Of the message in this run, from 1.

    Returns:
        The same for the same arguments, on every machine and Python.
    """
    if roll(manner.seed, number) < manner.drop:
        return Decision(Act.DROP)
    if number % manner.every:
        return Decision(Act.AA)
    return Decision(manner.answer, manner.wrong_id, chosen=True)


def roll(seed: int, number: int) -> float:
    """Return a number in [0, 1) for a message: whatever came before it, it has the same."""
    digest = hashlib.blake2b(f"{seed}:{number}".encode("ascii"), digest_size=8).digest()
    # The highest values round up to 1 as a float, and a share of 1 is to hit all.
    return min(int.from_bytes(digest, "big") / _ROLLS, 1 - 2**-53)
