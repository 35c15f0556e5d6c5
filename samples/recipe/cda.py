"""A CDA document from its facts: the minimal header of the CI-SIS, and a body of level 1 or 3."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from recipe import pdf
from recipe.people import INS_TEST_ROOT, Establishment, Patient, Professional

_TEMPLATES: Final = Path(__file__).parent / "cda"
_V3: Final = "urn:hl7-org:v3"
_XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_PREFIXES: Final = {
    "c": _V3,
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "lab": "urn:oid:1.3.6.1.4.1.19376.1.3.2",
}

#: templateIds of the document by kind: root, version or empty.
_MODELS: Final = {
    "level 1": (("1.3.6.1.4.1.19376.1.2.20", ""),),
    "biology": (("1.3.6.1.4.1.19376.1.3.3", ""), ("1.2.250.1.213.1.1.1.55", "2024.01")),
    "imaging": (
        ("1.2.840.10008.9.1", ""),
        ("1.2.840.10008.9.20", ""),
        ("1.2.840.10008.9.21", ""),
        ("1.2.250.1.213.1.1.1.45", "2024.01"),
    ),
}

_BIOLOGY_ACT: Final = """\
      <code code="18719-5" displayName="Biochimie" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"/>
      <lab:statusCode code="completed"/>"""
_IMAGING_ACT: Final = """\
      <code code="36643-5" displayName="Radiographie du thorax, deux incidences" \
codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC">
        <translation code="DX" displayName="Radiographie numérique" codeSystem="1.2.840.10008.2.16.4" \
codeSystemName="DCM"/>
      </code>"""
_STAY_ACT: Final = """\
      <code code="IMP" displayName="Hospitalisation" codeSystem="2.16.840.1.113883.5.4"/>"""
_ACTS: Final = {"11502-2": _BIOLOGY_ACT, "18748-4": _IMAGING_ACT}


@dataclass(frozen=True, kw_only=True)
class Result:
    """One biology result; numbers as written."""

    code: str
    label: str
    value: str
    unit: str
    low: str
    high: str
    interpretation: str = "N"


@dataclass(frozen=True, kw_only=True)
class Document:
    """
    One document in clear.

    Attributes:
        name: File name in `cda/`, without its extension.
        number: Last arc of the document id; the set has the number of its first version.
        kind: `level 1`, `biology` or `imaging`.
        type: LOINC code of the document and its label.
        time: Creation, to the second with zone.
        replaces: The version that this one replaces.
        lines: Text of the PDF, and of the findings and conclusion of an imaging report.
    """

    name: str
    number: int
    kind: str
    type: tuple[str, str]
    title: str
    time: str
    patient: Patient
    author: Professional
    organization: Establishment
    lines: tuple[str, ...]
    results: tuple[Result, ...] = ()
    replaces: "Document | None" = None
    self_rendering: bool = False

    @property
    def id(self) -> str:
        """ClinicalDocument/id: a root alone, since the DMP takes no extension."""
        return f"{self.organization.oid}.2.{self.number}"

    @property
    def set_id(self) -> str:
        """The id common to all versions."""
        return self.replaces.set_id if self.replaces else f"{self.organization.oid}.3.{self.number}"

    @property
    def version(self) -> int:
        """1 for the first, then one more for each replacement."""
        return self.replaces.version + 1 if self.replaces else 1

    @property
    def file(self) -> str:
        """Path below `samples/`."""
        return f"cda/{self.name}.{'xsl' if self.self_rendering else 'xml'}"


def render(document: Document) -> bytes:
    """
    Write a document.

    Args:
        document: The facts.

    Returns:
        The CDA in UTF-8; wrapped in its stylesheet when self-rendering.

    Source: CI-SIS Structuration minimale; BIO-CR-BIO 2024.01; IMG-CR-IMG 2024.01.
    """
    text = _fill("document.xml", {**_header(document), **_person(document), "body": _body(document)})
    if document.self_rendering:
        text = _template("self_rendering.xsl").substitute(document=_prefixed(text))
    return text.encode()


def _header(document: Document) -> dict[str, str]:
    where = document.organization
    templates = "\n".join(
        f'  <templateId root="{root}"' + (f' extension="{version}"' if version else "") + "/>"
        for root, version in _MODELS[document.kind]
    )
    day = document.time[:8]
    related = ""
    if document.replaces:
        related = (
            '\n  <relatedDocument typeCode="RPLC">\n    <parentDocument>\n'
            f'      <id root="{document.replaces.id}"/>\n      <setId root="{document.set_id}"/>\n'
            f'      <versionNumber value="{document.replaces.version}"/>\n'
            "    </parentDocument>\n  </relatedDocument>"
        )
    return {
        "templates": templates,
        "id": document.id,
        "type_code": document.type[0],
        "type_label": escape(document.type[1]),
        "title": escape(document.title),
        "time": document.time,
        "set_id": document.set_id,
        "version": str(document.version),
        "author": document.author.idnps,
        "author_family": document.author.family,
        "author_given": document.author.given,
        "speciality": document.author.speciality[0],
        "speciality_label": document.author.speciality[1],
        "organization": "1" + where.eg,
        "organization_name": escape(where.name),
        "organization_telephone": where.telephone,
        "organization_number": where.street[0],
        "organization_street": escape(where.street[1]),
        "organization_postcode": where.postcode,
        "organization_city": where.city,
        "facility": where.facility_code[0],
        "facility_label": where.facility_code[1],
        "act": _ACTS.get(document.type[0], _STAY_ACT),
        "act_start": f"{day}080000+0100",
        "act_end": document.time,
        "encounter_start": f"{day}073000+0100",
        "related": related,
    }


def _person(document: Document) -> dict[str, str]:
    who = document.patient
    used = f'\n          <family qualifier="CL">{who.used_family}</family>' if who.used_family else ""
    guardian = ""
    if who.guardian:
        guardian = (
            "\n        <guardian>\n          <guardianPerson>\n            <name>\n"
            f"              <family>{who.guardian[0]}</family>\n"
            f"              <given>{who.guardian[1]}</given>\n"
            "            </name>\n          </guardianPerson>\n        </guardian>"
        )
    return {
        "ins_root": INS_TEST_ROOT,
        "ins": who.ins,
        "ipp_root": f"{document.organization.oid}.1",
        "ipp": who.local[document.organization.id],
        "patient_number": who.street[0],
        "patient_street": escape(who.street[1]),
        "patient_postcode": who.postcode,
        "patient_city": who.city,
        "family": who.family,
        "given": who.given,
        "givens": who.givens,
        "used_name": used,
        "sex": who.sex,
        "sex_label": "Féminin" if who.sex == "F" else "Masculin",
        "born": who.born,
        "guardian": guardian,
        "birthplace_code": who.birthplace[0],
        "birthplace_name": who.birthplace[1],
    }


def _body(document: Document) -> str:
    who = document.patient
    page = [document.title, f"{who.family} {who.given}, né(e) le {_shown(who.born)}", *document.lines]
    page += [f"{r.label} : {r.value} {r.unit} ({r.low} - {r.high})" for r in document.results]
    copy = base64.b64encode(pdf.render(page)).decode()
    if document.kind == "level 1":
        return _fill("body_pdf.xml", {"pdf": copy})
    if document.kind == "biology":
        return _fill("body_biology.xml", {"pdf": copy, **_results(document)})
    findings, conclusion = document.lines
    return _fill(
        "body_imaging.xml",
        {
            "procedure_id": f"{document.id}.1",
            "act_start": f"{document.time[:8]}080000+0100",
            "findings": escape(findings),
            "conclusion": escape(conclusion),
        },
    )


def _results(document: Document) -> dict[str, str]:
    rows, entries = [], []
    for n, result in enumerate(document.results, start=1):
        rows.append(
            f'                <tr><td><content ID="examen-{n}">{escape(result.label)}</content></td>'
            f"<td>{result.value} {result.unit}</td><td>{result.low} - {result.high}</td></tr>"
        )
        entries.append(
            _fill(
                "entry_result.xml",
                {
                    "id": f"{document.id}.{n}",
                    "n": str(n),
                    "code": result.code,
                    "label": escape(result.label),
                    "time": f"{document.time[:8]}093000+0100",
                    "value": result.value,
                    "unit": result.unit,
                    "low": result.low,
                    "high": result.high,
                    "interpretation": result.interpretation,
                },
            )
        )
    return {"rows": "\n".join(rows), "results": "\n".join(entries)}


def _prefixed(text: str) -> str:
    """Return the document with `c:` before every name of CDA, as a stylesheet must carry it."""
    for prefix, namespace in _PREFIXES.items():
        ET.register_namespace(prefix, namespace)
    root = ET.fromstring(text)
    for element in root.iter():
        if _XSI_TYPE in element.attrib:
            element.attrib[_XSI_TYPE] = "c:" + element.attrib[_XSI_TYPE]
    return ET.tostring(root, encoding="unicode")


def _template(name: str) -> Template:
    return Template((_TEMPLATES / name).read_text(encoding="utf-8"))


def _fill(name: str, values: dict[str, str]) -> str:
    text = _template(name).substitute(values)
    return text if name == "document.xml" else text.rstrip("\n")


def _shown(day: str) -> str:
    return f"{day[6:]}/{day[4:6]}/{day[:4]}"


def files(documents: Sequence[Document]) -> dict[str, bytes]:
    """
    Write documents.

    Args:
        documents: Which.

    Returns:
        Bytes by path below `samples/`.
    """
    return {document.file: render(document) for document in documents}
