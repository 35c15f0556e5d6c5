"""Walking a CDA: an element with its children by name and its path, counted on the way down; and what was found."""

from typing import Final

from lxml import etree
from lxml.etree import _Element as Element

from gateway.model.place import Place
from gateway.model.problem import Problem, Severity

#: Namespace of CDA R2.
HL7: Final = "urn:hl7-org:v3"
_PREFIX: Final = f"{{{HL7}}}"
_PREFIX_LENGTH: Final = len(_PREFIX)

#: The library's own walk: it knows no limit of recursion.
_STRING: Final = etree.XPath("string()", smart_strings=False)

#: Problems of one document that are told, errors and warnings each; a damaged one could have a million.
MOST_PROBLEMS: Final = 100


class Node:
    """
    An element on the way down, with its path; its children are listed once, when first asked for.

    Children of the CDA namespace go by their local name, others by ``{namespace}name``; a step of a path is the local name with
    its number among siblings of that local name, so that the path needs no prefix. A node does not know its parent: a circle
    would keep the whole tree until the collector comes.
    """

    __slots__ = ("_children", "element", "path")

    def __init__(self, element: Element, path: str) -> None:
        """Stand on an element; `path` is its XPath from the root, without prefixes: ``/ClinicalDocument/author[2]``."""
        self.element = element
        self.path = path
        self._children: dict[str, list[Node]] | None = None

    def all(self, name: str) -> list["Node"]:
        """Return the children of that name, in document order."""
        if self._children is None:
            self._children = self._list()
        return self._children.get(name, [])

    def one(self, *names: str) -> "Node | None":
        """Return the first element at the end of a path of names, taking the first at each step."""
        node: Node | None = self
        for name in names:
            if node is None:
                return None
            found = node.all(name)
            node = found[0] if found else None
        return node

    def get(self, attribute: str) -> str | None:
        """Return an attribute as written; None if it is absent or empty."""
        return self.element.get(attribute) or None

    @property
    def is_null(self) -> bool:
        """Whether the element says that it holds nothing (nullFlavor)."""
        return self.element.get("nullFlavor") is not None

    @property
    def text(self) -> str | None:
        """Text of the element and of what is in it, without comments and the spaces around; None if there is none."""
        return text_of(self.element).strip() or None

    def _list(self) -> "dict[str, list[Node]]":
        children: dict[str, list[Node]] = {}
        counts: dict[str, int] = {}
        for child in self.element:
            tag = child.tag
            if not isinstance(tag, str):  # a comment or a processing instruction
                continue
            if tag.startswith(_PREFIX):
                key = local = tag[_PREFIX_LENGTH:]
            else:
                key = tag
                local = tag.rpartition("}")[2]
            number = counts[local] = counts.get(local, 0) + 1
            node = Node(child, f"{self.path}/{local}[{number}]")
            if number == 1:
                children[key] = [node]
            else:
                children.setdefault(key, []).append(node)
        return children


def text_of(element: Element) -> str:
    """Return the text of an element and of the elements in it, comments and processing instructions left out."""
    return str(_STRING(element)) if len(element) else element.text or ""


class Findings:
    """What reading a document finds besides its values: their places, and problems. Lives for one reading."""

    def __init__(self, within: Place | None = None) -> None:
        """Begin with nothing found; `within` is the place of the value that carries the document."""
        self.within = within
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def place(self, node: Node, attribute: str | None = None) -> Place:
        """Return the place of an element, or of one of its attributes."""
        path = node.path if attribute is None else f"{node.path}/@{attribute}"
        return Place(path=path, line=node.element.sourceline, within=self.within)

    def below(self, node: Node, name: str) -> Place:
        """Return the place where an absent child of an element should stand."""
        return Place(path=f"{node.path}/{name}", line=node.element.sourceline, within=self.within)

    def error(self, code: str, place: Place, detail: str) -> None:
        """Note what refuses the document."""
        self._keep(self.errors, Problem(code=code, place=place, detail=detail))

    def unusual(self, place: Place, detail: str) -> None:
        """Note what is tolerated (CDA_UNUSUAL)."""
        self._keep(self.warnings, Problem(code="CDA_UNUSUAL", severity=Severity.WARNING, place=place, detail=detail))

    def _keep(self, problems: list[Problem], problem: Problem) -> None:
        """Keep a problem, the first `MOST_PROBLEMS` of its kind; the one after them says that there are more."""
        if len(problems) < MOST_PROBLEMS:
            problems.append(problem)
        elif len(problems) == MOST_PROBLEMS:
            whole = Place(path="/", within=self.within)
            problems.append(Problem(code=problem.code, severity=problem.severity, place=whole, detail="and more"))
