"""CDA documents to read: the golden ones, the same damaged, and the law that a place leads back to its value."""

import copy
import re
from pathlib import Path

from hypothesis import strategies as st
from lxml import etree

from gateway.mappers.cda.read import CdaReading
from gateway.mappers.cda.times import repaired
from gateway.model.code import Code, Identifier
from gateway.model.place import Place
from gateway.model.when import When

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "cda"
V3 = "urn:hl7-org:v3"

#: Written where a value was: odd times, numbers in other digits, roots, nothing, a name.
VALUES = (
    "",
    " ",
    "20260310",
    "20261340",
    "20260310112000+100",
    "20260310112000123+0100",
    "٢٠٢٦",
    "0" * 5000,
    "1.2.250.1.213.1.4.10",
    "RPLC",
    "PRF",
    "B64",
    "text/plain; charset=utf-8",
    "É\u2028\U0001f600",
)
ATTRIBUTES = (
    "value",
    "root",
    "extension",
    "code",
    "codeSystem",
    "nullFlavor",
    "qualifier",
    "typeCode",
    "mediaType",
    "representation",
)


def golden(name: str) -> bytes:
    return (GOLDEN / name / "in.xml").read_bytes()


def goldens() -> list[str]:
    return sorted(path.name for path in GOLDEN.iterdir())


def _tree(document: bytes) -> etree._Element:
    return etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))


#: What may befall an element, given another one and two texts.
DAMAGES = {
    "drop": lambda one, _other, _name, _value: one.getparent().remove(one),
    "double": lambda one, _other, _name, _value: one.addnext(copy.deepcopy(one)),
    "move": lambda one, _other, _name, _value: one.getroottree().getroot().append(one),
    "empty": lambda one, _other, _name, _value: one.clear(),
    "rename": lambda one, other, _name, _value: setattr(one, "tag", other.tag),
    "set": lambda one, _other, name, value: one.set(name, value),
    "unset": lambda one, _other, name, _value: one.attrib.pop(name, None),
    "text": lambda one, _other, _name, value: setattr(one, "text", value),
    "comment": lambda one, _other, _name, _value: one.insert(0, etree.Comment("here")),
}


@st.composite
def damaged_trees(draw: st.DrawFn) -> bytes:
    """A golden document with elements removed, doubled, moved, emptied or renamed, and attributes changed: still XML."""
    root = _tree(golden(draw(st.sampled_from(goldens()))))
    for damage in draw(st.lists(st.sampled_from(sorted(DAMAGES)), min_size=1, max_size=6)):
        elements = [each for each in root.iter("*") if each is not root]
        if elements:
            one, other = draw(st.sampled_from(elements)), draw(st.sampled_from(elements))
            DAMAGES[damage](one, other, draw(st.sampled_from(ATTRIBUTES)), draw(st.sampled_from(VALUES)))
    return etree.tostring(root, encoding=draw(st.sampled_from(("UTF-8", "UTF-16", "ISO-8859-1"))), xml_declaration=True)


@st.composite
def damaged_bytes(draw: st.DrawFn) -> bytes:
    """A golden document with bytes changed, cut out or put in: seldom XML."""
    document = bytearray(golden(draw(st.sampled_from(goldens()))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(document)))
        until = at + draw(st.integers(0, 40))
        document[at:until] = draw(st.one_of(st.binary(max_size=8), st.sampled_from((b"<", b"&x;", b"<!DOCTYPE a>", b"\0", b'"'))))
    return bytes(document)


def text_at(root: etree._ElementTree, place: Place) -> str:
    """What stands at a place: its path as an XPath without prefixes."""
    steps = []
    for step in place.path.strip("/").split("/"):
        if step.startswith("@"):
            steps.append(step)
            continue
        name, number = re.fullmatch(r"([^\[]+)(\[\d+\])?", step).groups()
        steps.append(f"*[local-name()='{name}']{number or ''}")
    found = root.xpath("/" + "/".join(steps))
    assert len(found) == 1, f"{place.path} is {len(found)} nodes"
    node = found[0]
    if isinstance(node, str):
        owner = node.getparent()
        assert owner.sourceline == place.line
        return str(node)
    assert node.sourceline == place.line
    return str(node.xpath("string()"))


def field(model: object, path: str) -> object:
    """The value of ``authors[0].person.id`` in a document entry."""
    value = model
    for step in re.findall(r"[^.\[\]]+", path):
        value = value[int(step)] if step.isdigit() else getattr(value, step)
    return value


def check_places(document: bytes, reading: CdaReading) -> int:
    """Each place leads to the text of its value; how many were checked."""
    tree = _tree(document).getroottree()
    count = 0
    for noted in (reading.entry, *reading.patients):
        for path, place in noted.places.items():
            _check(field(noted, path), text_at(tree, place), path)
            count += 1
    for patient in reading.patients:
        for known in patient.identifiers:
            assert known.place is not None
            assert text_at(tree, known.place) == known.value
            count += 1
    return count


def _check(value: object, text: str, path: str) -> None:
    match value:
        case When():
            assert value.written == text or value.written == repaired(text), path
        case Code():
            assert value.code == text, path
        case Identifier():
            assert value.value == text, path
        case int():
            assert value == int(text), path
        case str() if path == "traits.sex":
            assert value == {"UN": "U"}.get(text, text)
        case str():
            # uniqueId is root^extension, a name may be joined of several parts, a media type may have parameters.
            whole = text.strip()
            assert value.endswith(whole) or value.startswith(whole) or whole.lower().startswith(value), path
        case _:
            raise AssertionError(f"{path}: a place without a value" if value is None else f"{path}: {type(value)}")
