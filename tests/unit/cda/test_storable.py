"""A versionNumber or an id that no backend could hold is told, never stored."""

import re
from pathlib import Path

import pytest

from gateway.mappers.cda.read import read
from gateway.model.problem import Unreadable


@pytest.mark.parametrize(
    ("written", "version"), [("1", 1), ("999999999", 999_999_999), ("1000000000", None), ("9" * 30, None), ("-1", None)]
)
def test_a_version_number_is_a_small_number(root: Path, written: str, version: int | None) -> None:
    document = (root / "samples/cda/bio-adele-v1.xml").read_bytes()
    changed, count = re.subn(rb'<versionNumber value="\d+"', b'<versionNumber value="' + written.encode() + b'"', document)
    assert count == 1
    reading = read(changed)
    assert reading.entry.version == version
    assert ("CDA_UNUSUAL" in {problem.code for problem in reading.problems}) == (version is None)


@pytest.mark.parametrize("element", ["id", "setId"])
@pytest.mark.parametrize(("length", "refused"), [(250, False), (251, True)])
def test_a_document_id_that_no_index_could_hold_is_refused(root: Path, element: str, length: int, refused: bool) -> None:
    document = (root / "samples/cda/bio-adele-v1.xml").read_bytes()
    found = re.search(rb"<" + element.encode() + rb' root="([0-9.]+)"', document)
    assert found is not None
    long = b'root="1.2.3" extension="' + b"9" * (length - len("1.2.3^")) + b'"'
    changed = document[: found.start(1) - len('root="')] + long + document[found.end(1) + 1 :]
    if not refused:
        entry = read(changed).entry
        assert len(entry.unique_id if element == "id" else entry.set_id or "") == length
        return
    with pytest.raises(Unreadable, match="CDA_INVALID"):
        read(changed)
