"""The ids under which a document is known to those who ask for it over HTTP: derived, so that they are the same everywhere."""

import uuid
from typing import Final

#: Name space of the ids: derived from receipt and uniqueId, so that a repeated transaction gives the same one.
_ENTRIES: Final = uuid.UUID("6f0b6f2e-6a55-5f0e-9a1c-2f1f6d0c7a11")


def entry_uuid(receipt: str, unique_id: str) -> str:
    """
    Return the entryUUID of a document: the id of its DocumentReference, and of the Binary or Bundle that it describes.

    Args:
        receipt: Of the deposit that stored it: for a duplicate the first one, so that its place stays the same.
        unique_id: Its uniqueId.

    Source: HL7 FHIR R4, DocumentReference.id ↔ XDS entryUUID (ANS, PDSm).
    """
    return str(uuid.uuid5(_ENTRIES, f"{receipt}/{unique_id}"))


def set_uuid(receipt: str) -> str:
    """Return the entryUUID of a submission set, or the id of a statement's Consent: a receipt has one."""
    return str(uuid.uuid5(_ENTRIES, receipt))
