"""What a sabotage is, and how it is done to a copy of the tree."""

from dataclasses import dataclass
from pathlib import Path


class Rotten(Exception):
    """A sabotage names what the tree does not hold, or holds more than once: it would break nothing, or something else."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """
    One replacement.

    Attributes:
        file: In the tree.
        find: Stands in the file exactly once.
        put: What replaces it.
    """

    file: str
    find: str
    put: str

    def done(self, tree: Path) -> str:
        """
        Return the file's text with the replacement.

        Raises:
            Rotten: the file is not there, or does not hold the anchor exactly once.
        """
        path = tree / self.file
        if not path.is_file():
            raise Rotten(f"{self.file} is not there")
        text = path.read_text(encoding="utf-8")
        if (times := text.count(self.find)) != 1:
            raise Rotten(f"{self.file} holds {times} times: {self.find!r}")
        if self.find == self.put:
            raise Rotten(f"{self.file}: nothing is replaced: {self.find!r}")
        return text.replace(self.find, self.put)


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """
    One thing broken.

    Attributes:
        name: Number in the list of the proof (`1`…`16`), or a number of our own behind it.
        what: What was broken, for a person.
        edits: How.
        tests: Where it should be caught, the likeliest first: files, or tests in them.
    """

    name: str
    what: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]

    def commit(self, tree: Path) -> None:
        """
        Break a tree.

        Raises:
            Rotten: see `Edit.done`.
        """
        for edit in self.edits:
            text = edit.done(tree)
            (tree / edit.file).write_text(text, encoding="utf-8")


def breaking(name: str, what: str, file: str, find: str, put: str, *tests: str) -> Sabotage:
    """Return a sabotage of one replacement."""
    return Sabotage(name=name, what=what, edits=(Edit(file=file, find=find, put=put),), tests=tests)
