"""How a message ends: one enumeration for the whole product."""

import enum


class Verdict(enum.StrEnum):
    """
    What became of a submission, a document or an event.

    Source: design, Outcome.
    """

    #: The document is in the record.
    STORED = "stored"
    #: The document is in the record's history: a later version was there already.
    REPLACED = "replaced"
    #: The document is marked deleted (a deletion), or went to history without its bytes (an add after its deletion).
    DELETED = "deleted"
    #: The same document was stored before; its first outcome stands (D-6).
    DUPLICATE = "duplicate"
    #: The insurer's document says nothing new (D-20).
    UNCHANGED = "unchanged"
    #: The store refused it: an opposition, a closed record… Nothing of its content is kept (R-13).
    REFUSED = "refused"
    #: The door refused it: it never was ours (D-7).
    REJECTED = "rejected"
    #: It could not be applied for a reason that is not its sender's; kept sealed for an operator (D-7).
    PARKED = "parked"
    #: Understood, acknowledged, and of no concern to the record (an unknown event, DESTDMP=N).
    IGNORED = "ignored"
    #: An event changed the record.
    APPLIED = "applied"

    @property
    def final(self) -> bool:
        """Whether a redelivery gets this verdict back instead of being judged again (`parked` is no outcome)."""
        return self is not Verdict.PARKED
