"""Where the ClinicalDocument stands: at the root, or inside a self-rendering document."""

from typing import Final

from lxml.etree import _Element as Element
from lxml.etree import _ElementTree as Tree

from gateway.mappers.cda.walk import HL7, Node
from gateway.model.place import Place
from gateway.model.problem import Problem, Unreadable

_CLINICAL_DOCUMENT: Final = f"{{{HL7}}}ClinicalDocument"
_STYLESHEETS: Final = tuple(f"{{http://www.w3.org/1999/XSL/Transform}}{name}" for name in ("stylesheet", "transform"))
_CONTENT: Final = "{*}Contenu"

TEXT_XML: Final = "text/xml"
#: A self-rendering document: a stylesheet that carries the document it shows.
SELF_RENDERING: Final = "application/xslt+xml"


def find_document(tree: Tree, within: Place | None) -> tuple[Node, str]:
    """
    Find the ClinicalDocument of a tree.

    A self-rendering document is a stylesheet with the document inside an element `Contenu`: it is unwrapped, never run.

    Returns:
        The ClinicalDocument, and the MIME type of the whole.

    Raises:
        Unreadable: NOT_CDA, if there is none, or more than one.

    Source: CI-SIS, CDA R2.
    """
    root = tree.getroot()
    if root.tag == _CLINICAL_DOCUMENT:
        return Node(root, "/ClinicalDocument"), TEXT_XML
    if root.tag in _STYLESHEETS:
        found = [document for content in root.iter(_CONTENT) for document in content.iterchildren(_CLINICAL_DOCUMENT)]
        if len(found) == 1:
            return Node(found[0], _path(found[0])), SELF_RENDERING
        detail = "a stylesheet without a document" if not found else "a stylesheet with several documents"
    else:
        detail = "the root is not a ClinicalDocument of urn:hl7-org:v3"
    raise Unreadable(Problem(code="NOT_CDA", place=Place(path="/", line=root.sourceline, within=within), detail=detail))


def _path(element: Element) -> str:
    """Return the path of one element, counted among siblings of the same local name."""
    steps: list[str] = []
    here = element
    while (parent := here.getparent()) is not None:
        local = _local(here)
        number = 1 + sum(1 for sibling in here.itersiblings(preceding=True) if _local(sibling) == local)
        steps.append(f"{local}[{number}]")
        here = parent
    return "/" + "/".join([_local(here), *reversed(steps)])


def _local(element: Element) -> str:
    """Return the name of an element without its namespace, empty for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
