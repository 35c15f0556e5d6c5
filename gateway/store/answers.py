"""What was acknowledged, as its journal tells it: looked up in a store that may have been restored from a backup."""

from gateway.model.base import Model


class Acknowledged(Model, frozen=True, kw_only=True):
    """One positive answer: ids, codes and times, never anything of a patient."""

    #: When the answer was about to leave, ISO 8601 UTC.
    at: str
    receipt: str
    received_at: str
    source: str
    establishment: str
    application: str
    #: MSH-10.
    message_id: str
    #: SHA-256 of the message without MSH-7: whether it was sent again (D-6).
    digest: str
    #: `deposit` or `event`.
    kind: str
    #: What an event stated: `opposition`, `lifting`, or nothing.
    stated: str | None = None

    @property
    def weight(self) -> int:
        """Sorts what must come back first: oppositions, liftings, other events, deposits."""
        if self.kind != "event":
            return 3
        return {"opposition": 0, "lifting": 1}.get(self.stated or "", 2)

    @property
    def sent(self) -> bool:
        """Whether it came as a message; a command has no MSH-10 of its own, its receipt stands there."""
        return self.message_id != self.receipt
