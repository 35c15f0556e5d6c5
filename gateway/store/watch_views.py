"""What identity watch sees: its list of tasks, and documents that were stored under a link that has ended."""

from gateway.model.base import Model


class TaskLine(Model, frozen=True, kw_only=True):
    """One line of `record tasks`."""

    id: int
    kind: str
    #: When it was listed, ISO 8601, UTC.
    since: str
    #: INS or local id, for the operator; None where it is about nobody known, or about a file that was merged.
    patient: str | None
    document: str | None
    #: Names and codes that it is about: traits, an establishment, a statement, a merge.
    detail: str | None
    #: Of the message or command that showed it.
    receipt: str
    to_do: str
    done_at: str | None = None
    done_by: str | None = None


class MisfiledLine(Model, frozen=True, kw_only=True):
    """One line of `record misfiled`: metadata, never the document's bytes."""

    unique_id: str
    title: str
    type_code: str
    creation_time: str
    state: str
    owner: str
    withheld: bool
    committed_at: str
    receipt: str
    #: In whose record it is: INS or local id.
    patient: str | None
    #: Until when the identifier named that patient, ISO 8601, UTC; and the receipt of the event that ended it.
    linked_until: str
    ended_by: str | None
