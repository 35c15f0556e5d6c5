"""Places in the notation of each format."""

import pytest

from gateway.model.place import Place, er7_path


@pytest.mark.parametrize(
    ("arguments", "path", "erl"),
    [
        (("PID", 1), "PID[1]", ("PID", "1")),
        (("OBX", 3, 5), "OBX[3]-5", ("OBX", "3", "5")),
        (("PID", 1, 3, 2), "PID[1]-3[2]", ("PID", "1", "3", "2")),
        (("OBX", 1, 5, 1, 5), "OBX[1]-5[1].5", ("OBX", "1", "5", "1", "5")),
        (("PID", 1, 3, 2, 4, 2), "PID[1]-3[2].4.2", ("PID", "1", "3", "2", "4", "2")),
        (("ZFA", 1, 9), "ZFA[1]-9", ("ZFA", "1", "9")),
    ],
)
def test_a_path_gives_err_2(arguments: tuple[str, int], path: str, erl: tuple[str, ...]) -> None:
    assert er7_path(*arguments) == path
    assert Place(path=path).erl == erl


def test_a_place_in_a_document_answers_with_its_carrier() -> None:
    inside = Place(path="/ClinicalDocument/title[1]", line=4, within=Place(path="OBX[1]-5[1].5", start=100, end=900))
    assert inside.erl == ("OBX", "1", "5", "1", "5")
    assert inside.outermost.start == 100
    assert str(inside) == "OBX[1]-5[1].5 → /ClinicalDocument/title[1]"


def test_a_place_in_xml_alone_has_no_err_2() -> None:
    assert Place(path="/ClinicalDocument/id[1]/@root").erl == ()
