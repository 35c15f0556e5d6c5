"""What is wrong with a message, where, and what to do: a problem and the table of its codes (D-25)."""

import enum
from typing import Final

from gateway.model.base import Model
from gateway.model.place import Place


class Severity(enum.StrEnum):
    """Severity of a problem; the first letter is ERR-4 (HL7 table 0516)."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"

    @property
    def err4(self) -> str:
        """``E``, ``W`` or ``I``."""
        return self.value[0].upper()


class Answer(enum.StrEnum):
    """The technical answer, MSA-1 (HL7 table 0008), original mode."""

    #: Responsibility taken: the sender is free to forget (D-2).
    AA = "AA"
    #: The content is wrong: sending it again as it is will not help.
    AE = "AE"
    #: A circumstance: send again later.
    AR = "AR"


class Who(enum.StrEnum):
    """Who must act on a problem."""

    SENDER = "sender"
    OPERATOR = "operator"
    PATIENT = "patient"
    NOBODY = "nobody"


class ProblemCode(Model, frozen=True, kw_only=True):
    """One row of the table of problem codes: the answer on every door, what happened, what to do."""

    code: str
    #: What happened, in words that name no person and no value.
    text: str
    #: What to do about it.
    advice: str
    who: Who
    #: The technical answer when the problem refuses the message.
    answer: Answer = Answer.AE
    #: ERR-3, HL7 table 0357.
    err3: str = "207"
    #: The fitting applicationErrorCondition (900–906), if there is one.
    application_error: str | None = None
    #: FHIR issue type.
    issue: str = "invalid"
    #: HTTP status.
    http: int = 422
    #: XDS error code.
    xds: str = "XDSRepositoryMetadataError"
    #: DMP error code where one is public (only DMPClosed is, for a refusal).
    dmp: str | None = None
    #: A fragment of a message that causes it.
    example: str = ""
    source: str = ""


#: HL7 table 0357, message error condition codes.
ERR3_TEXT: Final = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "198": "Cardinality not respected",
    "199": "Other HL7 error",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application error",
}


class Problem(Model, frozen=True, kw_only=True):
    """A problem met in a message: a code of the table, its severity and its place."""

    code: str
    severity: Severity = Severity.ERROR
    place: Place | None = None
    #: What is particular to this case (a field's name, a count), never a person's data.
    detail: str = ""
    #: Which document of the submission it concerns, from 0.
    document: int | None = None


class Unreadable(Exception):
    """The message cannot be read at all, or must be refused whole; carries what the answer needs."""

    def __init__(self, *problems: Problem) -> None:
        """Keep the problems; the exception's text is their codes and paths only."""
        super().__init__(", ".join(f"{p.code} at {p.place}" if p.place else p.code for p in problems))
        self.problems = problems
