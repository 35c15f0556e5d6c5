"""
ITI-105, Simplified Publish: one DocumentReference that holds its document; the rest is what the CDA and the source say.

Source: IHE MHD 4.2, ITI-105; PDSm 3.1, simplified publish; D-16.
"""

from gateway.mappers.common.findings import Findings
from gateway.mappers.common.reading import Read
from gateway.mappers.fhir import relation
from gateway.mappers.fhir.content import Held
from gateway.mappers.fhir.deposit import Item, Request, Sent
from gateway.mappers.fhir.json import Loaded
from gateway.mappers.fhir.validate import validate
from gateway.mappers.fhir.values import when
from gateway.mappers.fhir.walk import Node
from gateway.model.code import Code
from gateway.model.source import Directory, Source


def read(loaded: Loaded, source: Source, directory: Directory, environment: str) -> Read:
    """
    Read a DocumentReference; arguments and result as `provide.read`.

    Sender: its first author. contentTypeCode: the source's own default. A replacement needs no PATCH: the recipient marks what is
    replaced itself.
    """
    findings = Findings()
    root = validate(loaded, findings)
    request = Request(loaded, root or Node({}, "DocumentReference"), source, directory, environment, findings)
    if root is None or not request.may_deposit:
        return request.rejected()
    if root.type != "DocumentReference":
        findings.add("FHIR_UNSUPPORTED", root.place("resourceType"), "a DocumentReference is created here")
        return request.rejected()
    item = Item(0, root)
    request.check_reference(item)
    _hold(request, item)
    act = relation.act_of([root])
    request.read_document(item)
    authors = root.all("author")
    sender = request.people.author(authors[0] if authors else None, root)
    sender_at = root.place("author[0]")
    if not authors:
        findings.add("FHIR_REQUIRED", root.place("author"), "author")
    default = source.content_type
    sent = Sent(
        sender=sender,
        sender_at=sender_at,
        content_type=None if default is None else Code(code=default, system="JDV_J59"),
        date=when(root.text("date")),
        subject_at=root.place("subject"),
        places={"sender": sender_at},
    )
    return request.finish([item], act, sent)


def _hold(request: Request, item: Item) -> None:
    """Find the bytes: in the attachment itself."""
    attachment = item.attachment
    if attachment is None:
        request.findings.add("FHIR_REQUIRED", item.reference.place("content[0]", "attachment"), "attachment", document=0)
        return
    if attachment.has("url"):
        request.findings.add("FHIR_INVARIANT", attachment.place("url"), "url: the bytes stand in data", document=0)
    place = attachment.place("data")
    blob = request.loaded.blobs.get(place.path)
    if blob is None:
        request.findings.add("FHIR_REQUIRED", place, "data", document=0)
        return
    item.held = Held(place, blob)
