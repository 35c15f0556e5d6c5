"""
Write the samples: the messages, the documents in clear, README.md and expected.json.

    python samples/build.py            write what changed
    python samples/build.py --check    write nothing; exit 1 if something would change
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from recipe import bad, cda, deposits, events, fhir, fhir_statements, guide, postman  # noqa: E402
from recipe.documents import DOCUMENTS  # noqa: E402
from recipe.er7 import Sample  # noqa: E402

#: Folders whose every file is written here: a file that nothing writes any more is a difference.
FOLDERS = ("adt", "bad", "cda", "fhir", "mdm", "oru", "postman")


def samples() -> list[Sample]:
    """
    Build every message.

    Returns:
        The samples, by folder.
    """
    return [*deposits.samples(), *events.samples(), *bad.samples()]


def files() -> dict[str, bytes]:
    """
    Build every file.

    Returns:
        Bytes by path below `samples/`.
    """
    messages, resources = samples(), [*fhir.samples(), *fhir_statements.samples()]
    contents = {
        **{sample.file: sample.content for sample in messages},
        **cda.files(DOCUMENTS),
        **{resource.file: resource.content for resource in resources},
    }
    return {
        **contents,
        postman.FILE: postman.collection(contents),
        "README.md": guide.readme(messages, DOCUMENTS, resources),
        "expected.json": guide.expected(messages),
    }


def differences() -> dict[str, str]:
    """
    Compare the folder with what would be written.

    Returns:
        `missing`, `changed` or `left over` by path below `samples/`.
    """
    wanted, found = files(), {}
    for path, content in wanted.items():
        target = HERE / path
        if not target.is_file():
            found[path] = "missing"
        elif target.read_bytes() != content:
            found[path] = "changed"
    for folder in FOLDERS:
        for target in sorted((HERE / folder).glob("*")):
            path = f"{folder}/{target.name}"
            if path not in wanted:
                found[path] = "left over"
    return found


def main(arguments: list[str]) -> int:
    """
    Write or check.

    Args:
        arguments: `--check` or nothing.

    Returns:
        The exit status.
    """
    if arguments not in ([], ["--check"]):
        sys.stderr.write(f"usage: {Path(sys.argv[0]).name} [--check]\n")
        return 2
    found, wanted = differences(), files()
    for path, difference in found.items():
        sys.stdout.write(f"{difference}: samples/{path}\n")
        if not arguments:
            _apply(HERE / path, wanted.get(path))
    return 1 if arguments and found else 0


def _apply(target: Path, content: bytes | None) -> None:
    if content is None:
        target.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
