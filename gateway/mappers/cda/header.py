"""The header of a CDA: every attribute of the document entry, with its place (CI-SIS minimal header)."""

import enum
import re
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.mappers.cda.people import PeopleReader
from gateway.mappers.cda.times import read_when
from gateway.mappers.cda.values import code_of, id_attribute, id_text, read_id
from gateway.mappers.cda.walk import Findings, Node
from gateway.model.code import LONGEST_IDENTIFIER, Code, Identifier
from gateway.model.document import Author, Organisation
from gateway.model.place import Place
from gateway.model.when import When

#: Namespace of the imaging extension, and its accession number.
_ACCESSION: Final = "{urn:dicom-org:ps3-20}accessionNumber"

#: Types of a referenceId. Source: JDV_J231.
ORDER: Final = "urn:ihe:iti:xds:2013:order"
ACCESSION: Final = "urn:ihe:iti:xds:2013:accession"

#: Nine digits: what every backend holds, and more versions than a document will ever have.
_VERSION: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class Need(enum.Enum):
    """What the absence of a header element, or a second one, means."""

    #: Nothing.
    FREE = enum.auto()
    #: A warning: the document is read without it, or with the first.
    EXPECTED = enum.auto()
    #: An error.
    REQUIRED = enum.auto()


@dataclass(frozen=True, slots=True)
class Row:
    """One element of the minimal header."""

    name: str
    absent: Need
    several: Need


#: Source: CI-SIS Structuration minimale; CI-SIS, CDA R2. What identifies a document must be there once; the rest may be missed.
HEADER: Final = (
    Row("realmCode", Need.EXPECTED, Need.FREE),
    Row("typeId", Need.EXPECTED, Need.EXPECTED),
    Row("templateId", Need.EXPECTED, Need.FREE),
    Row("id", Need.REQUIRED, Need.REQUIRED),
    Row("code", Need.REQUIRED, Need.REQUIRED),
    Row("title", Need.EXPECTED, Need.EXPECTED),
    Row("effectiveTime", Need.REQUIRED, Need.REQUIRED),
    Row("confidentialityCode", Need.EXPECTED, Need.EXPECTED),
    Row("languageCode", Need.EXPECTED, Need.EXPECTED),
    Row("setId", Need.EXPECTED, Need.EXPECTED),
    Row("versionNumber", Need.EXPECTED, Need.EXPECTED),
    Row("recordTarget", Need.REQUIRED, Need.FREE),
    Row("author", Need.REQUIRED, Need.FREE),
    Row("custodian", Need.REQUIRED, Need.REQUIRED),
    Row("legalAuthenticator", Need.EXPECTED, Need.EXPECTED),
    Row("documentationOf", Need.EXPECTED, Need.FREE),
    Row("componentOf", Need.EXPECTED, Need.EXPECTED),
)


@dataclass(frozen=True, slots=True)
class Service:
    """What the documented acts say of the document entry."""

    codes: tuple[Code, ...] = ()
    start: When | None = None
    stop: When | None = None
    practice_setting: Code | None = None


def check_presence(document: Node, findings: Findings) -> None:
    """Note every element of the minimal header that is absent, or there more often than once may be."""
    for row in HEADER:
        nodes = document.all(row.name)
        if not nodes and row.absent is Need.REQUIRED:
            findings.error("CDA_REQUIRED", findings.below(document, f"{row.name}[1]"), row.name)
        elif not nodes and row.absent is Need.EXPECTED:
            findings.unusual(findings.below(document, f"{row.name}[1]"), f"{row.name}: absent")
        elif len(nodes) > 1 and row.several is Need.REQUIRED:
            findings.error("CDA_INVALID", findings.place(nodes[1]), f"{row.name}: more than one")
        elif len(nodes) > 1 and row.several is Need.EXPECTED:
            findings.unusual(findings.place(nodes[1]), f"{row.name}: more than one, the first is read")


class HeaderReader:
    """Reads the attributes of one ClinicalDocument; each method reads one, and notes its place and its problems."""

    def __init__(self, document: Node, findings: Findings) -> None:
        """Stand on the ClinicalDocument."""
        self._document = document
        self._findings = findings
        self.places: dict[str, Place] = {}
        self._people = PeopleReader(findings, self.places)

    def _note(self, field: str, node: Node, attribute: str | None = None) -> None:
        self.places[field] = self._findings.place(node, attribute)

    def _missing(self, node: Node, attribute: str) -> None:
        """Note that a required element is there and holds nothing."""
        place = self._findings.place(node, attribute)
        self._findings.error("CDA_REQUIRED", place, f"@{attribute}")

    def unique_id(self) -> str | None:
        """Read uniqueId: ``root`` or ``root^extension``."""
        node = self._document.one("id")
        if node is None:
            return None
        text = id_text(node)
        if text is None:
            self._missing(node, "root")
        else:
            self._note("unique_id", node, id_attribute(node))
            self._bounded(node, text)
        return text

    def set_id(self) -> str | None:
        """Read setId, the document through its versions."""
        node = self._document.one("setId")
        text = id_text(node)
        if node is not None and text is not None:
            self._note("set_id", node, id_attribute(node))
            self._bounded(node, text)
        elif node is not None:
            self._findings.unusual(self._findings.place(node), "setId: no identifier")
        return text

    def _bounded(self, node: Node, text: str) -> None:
        """Refuse a document id that an index could not hold."""
        if len(text) > LONGEST_IDENTIFIER:
            place = self._findings.place(node, id_attribute(node))
            self._findings.error("CDA_INVALID", place, f"longer than {LONGEST_IDENTIFIER} characters")

    def version(self) -> int | None:
        """Read versionNumber."""
        node = self._document.one("versionNumber")
        text = node.get("value") if node is not None else None
        if node is None:
            return None
        if text is None or _VERSION.fullmatch(text) is None:
            self._findings.unusual(self._findings.place(node, "value"), "versionNumber: no number")
            return None
        self._note("version", node, "value")
        return int(text)

    def type_code(self) -> Code | None:
        """Read the type of the document."""
        node = self._document.one("code")
        if node is None:
            return None
        code = code_of(node)
        if code is None:
            self._missing(node, "code")
        else:
            self._note("type_code", node, "code")
        return code

    def title(self) -> str:
        """Read the title; empty if there is none."""
        node = self._document.one("title")
        text = node.text if node is not None else None
        if node is not None and text is not None:
            self._note("title", node)
        elif node is not None:
            self._findings.unusual(self._findings.place(node), "title: empty")
        return text or ""

    def language(self) -> str:
        """Read the language; empty if there is none."""
        node = self._document.one("languageCode")
        code = node.get("code") if node is not None else None
        if node is not None and code is not None:
            self._note("language", node, "code")
        elif node is not None:
            self._findings.unusual(self._findings.place(node, "code"), "languageCode: empty")
        return code or ""

    def creation_time(self) -> When | None:
        """Read effectiveTime."""
        node = self._document.one("effectiveTime")
        if node is None:
            return None
        if node.get("value") is None:
            self._missing(node, "value")
            return None
        when = read_when(self._findings, node, required=True)
        if when is not None:
            self._note("creation_time", node, "value")
        return when

    def confidentiality_codes(self) -> tuple[Code, ...]:
        """Read the document's own confidentiality."""
        node = self._document.one("confidentialityCode")
        code = code_of(node)
        if node is None or code is None:
            if node is not None:
                self._findings.unusual(self._findings.place(node, "code"), "confidentialityCode: empty")
            return ()
        self._note("confidentiality_codes[0]", node, "code")
        return (code,)

    def template_ids(self) -> tuple[str, ...]:
        """Read the roots of the templateIds, each once, in document order."""
        roots: dict[str, None] = {}
        for node in self._document.all("templateId"):
            root = node.get("root")
            if root is not None and root not in roots:
                self._note(f"template_ids[{len(roots)}]", node, "root")
                roots[root] = None
        return tuple(roots)

    def authors(self) -> tuple[Author, ...]:
        """Read the authors; one with a nullFlavor is none."""
        written = self._document.all("author")
        nodes = [node for node in written if not node.is_null]
        if written and not nodes:
            self._findings.error("CDA_REQUIRED", self._findings.place(written[0]), "author")
        return tuple(
            self._people.author(node, f"authors[{number}]", assigned="assignedAuthor", role="functionCode")
            for number, node in enumerate(nodes)
        )

    def legal_authenticator(self) -> Author | None:
        """Read the legal authenticator."""
        node = self._document.one("legalAuthenticator")
        if node is None or node.is_null:
            return None
        return self._people.author(node, "legal_authenticator", assigned="assignedEntity")

    def custodian(self) -> Organisation | None:
        """Read the organisation that keeps the document, with the ids of any other that is written beside it."""
        node = self._document.one("custodian")
        if node is None:
            return None
        written = [each for role in node.all("assignedCustodian") for each in role.all("representedCustodianOrganization")]
        organisation = self._people.organisation(next(iter(written), None), "custodian")
        beside = [known for each in written[1:] for one in each.all("id") if (known := read_id(one)) is not None]
        if organisation is not None and beside:
            organisation = msgspec.structs.replace(organisation, other_ids=(*organisation.other_ids, *beside))
        if organisation is None:
            path = "assignedCustodian[1]/representedCustodianOrganization[1]"
            self._findings.error("CDA_REQUIRED", self._findings.below(node, path), "custodian: neither id nor name")
        elif organisation.id is None:
            self._findings.unusual(self._findings.place(node), "custodian: no id")
        return organisation

    def service(self) -> Service:
        """
        Read the documented acts: their codes and translations; setting and period of the principal one.

        The principal act is the first whose performer PRF has a standardIndustryClassCode. Source: CI-SIS, documentationOf.
        """
        events = [event for node in self._document.all("documentationOf") for event in node.all("serviceEvent")]
        codes: list[Code] = []
        for event in events:
            for kind in event.all("code"):
                self._event_codes(kind, codes)
        for event in events:
            setting = self._practice_setting(event)
            if setting is not None:
                start, stop = self._period(event.one("effectiveTime"))
                return Service(codes=tuple(codes), start=start, stop=stop, practice_setting=setting)
        if events:
            self._findings.unusual(self._findings.place(events[0]), "no act with a practice setting")
        return Service(codes=tuple(codes))

    def _event_codes(self, kind: Node, codes: list[Code]) -> None:
        for node in (kind, *kind.all("translation")):
            code = code_of(node)
            if code is not None:
                self._note(f"event_codes[{len(codes)}]", node, "code")
                codes.append(code)

    def _practice_setting(self, event: Node) -> Code | None:
        for performer in event.all("performer"):
            if performer.get("typeCode") == "PRF":
                node = performer.one("assignedEntity", "representedOrganization", "standardIndustryClassCode")
                code = code_of(node)
                if node is not None and code is not None:
                    self._note("practice_setting", node, "code")
                    return code
        return None

    def _period(self, node: Node | None) -> tuple[When | None, When | None]:
        """Read an IVL_TS: low and high, or a single value, which is the start."""
        if node is None:
            return None, None
        first = node.one("low") or (node if node.get("value") is not None else None)
        last = node.one("high")
        start, stop = read_when(self._findings, first), read_when(self._findings, last)
        if first is not None and start is not None:
            self._note("service_start", first, "value")
        if last is not None and stop is not None:
            self._note("service_stop", last, "value")
        return start, stop

    def healthcare_facility_type(self) -> Code | None:
        """Read the kind of place of care."""
        node = self._document.one("componentOf", "encompassingEncounter", "location", "healthCareFacility", "code")
        code = code_of(node)
        if node is not None and code is not None:
            self._note("healthcare_facility_type", node, "code")
        return code

    def reference_ids(self) -> tuple[Identifier, ...]:
        """Read the orders that the document fulfils, and their accession numbers. Source: JDV_J231."""
        found: list[Identifier] = []
        for request in self._document.all("inFulfillmentOf"):
            for order in request.all("order"):
                for name, kind in (("id", ORDER), (_ACCESSION, ACCESSION)):
                    for node in order.all(name):
                        known = read_id(node)
                        if known is not None:
                            self._note(f"reference_ids[{len(found)}]", node, id_attribute(node))
                            found.append(Identifier(value=known.value, authority=known.authority, type=kind))
        return tuple(found)

    def replaces(self) -> tuple[str, ...]:
        """Read the uniqueIds of the documents that this one replaces (relatedDocument RPLC)."""
        found: list[str] = []
        for related in self._document.all("relatedDocument"):
            if related.get("typeCode") != "RPLC":
                self._findings.unusual(self._findings.place(related), "relatedDocument: not a replacement, left out")
                continue
            parents = [node for parent in related.all("parentDocument") for node in parent.all("id")]
            texts = [(node, text) for node in parents if (text := id_text(node)) is not None]
            if not texts:
                place = self._findings.below(related, "parentDocument[1]/id[1]")
                self._findings.unusual(place, "a replacement that names no document")
            for node, text in texts:
                self._note(f"replaces[{len(found)}]", node, id_attribute(node))
                self._bounded(node, text)
                found.append(text)
        return tuple(found)
