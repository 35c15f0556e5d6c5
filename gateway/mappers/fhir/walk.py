"""Walking a FHIR tree: an element with its children by name and its FHIRPath; a place is that path (D-23)."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.model.place import Place


class Node:
    """
    An object of the tree, with its path.

    The tree was validated: what is read here has the type that its element has, so what does not is as good as absent.
    """

    __slots__ = ("path", "value")

    def __init__(self, value: Mapping[str, Any], path: str) -> None:
        """Stand on an object; `path` is its FHIRPath from the root: ``Bundle.entry[1].resource``."""
        self.value = value
        self.path = path

    def one(self, *names: str) -> "Node | None":
        """Return the object at the end of a path of names, taking the first of a list at each step."""
        node: Node | None = self
        for name in names:
            node = next(iter(node.all(name)), None) if node is not None else None
        return node

    def all(self, name: str) -> list["Node"]:
        """Return the objects of an element, in order."""
        found = self.value.get(name)
        if isinstance(found, dict):
            return [Node(found, f"{self.path}.{name}")]
        if isinstance(found, list):
            return [Node(each, f"{self.path}.{name}[{index}]") for index, each in enumerate(found) if isinstance(each, dict)]
        return []

    def text(self, name: str) -> str | None:
        """Return a string without the spaces around it; None if it is absent, blank or no string."""
        found = self.value.get(name)
        return (found.strip() or None) if isinstance(found, str) else None

    def written(self, name: str) -> str | None:
        """Return a string exactly as it stands there; None if it is absent, empty or no string."""
        found = self.value.get(name)
        return (found or None) if isinstance(found, str) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the strings of a repeated element; those that are absent (null) are passed over."""
        found = self.value.get(name)
        return (
            tuple(text for each in found if isinstance(each, str) and (text := each.strip())) if isinstance(found, list) else ()
        )

    def number(self, name: str) -> int | None:
        """Return an integer, None if it is absent."""
        found = self.value.get(name)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def flag(self, name: str) -> bool | None:
        """Return a boolean, None if it is absent."""
        found = self.value.get(name)
        return found if isinstance(found, bool) else None

    def has(self, name: str) -> bool:
        """Tell whether an element is there."""
        return name in self.value

    def place(self, *names: str) -> Place:
        """Return the place of this object, or of an element below it, whether it is there or not."""
        return Place(path=".".join((self.path, *names)))

    @property
    def type(self) -> str:
        """The name of a resource, empty for what is none."""
        return self.text("resourceType") or ""

    def extension(self, url: str) -> "Node | None":
        """Return the first extension of that URL."""
        return next((each for each in self.all("extension") if each.text("url") == url), None)

    def children(self) -> Iterator[tuple[str, "Node"]]:
        """Return every object below, with the name of its element, in order."""
        for name, found in self.value.items():
            if isinstance(found, dict):
                yield name, Node(found, f"{self.path}.{name}")
            elif isinstance(found, list):
                for index, each in enumerate(found):
                    if isinstance(each, dict):
                        yield name, Node(each, f"{self.path}.{name}[{index}]")

    def below(self) -> Iterator["Node"]:
        """Return this object and every one below it, in the order of the body."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack += reversed([child for _, child in node.children()])
