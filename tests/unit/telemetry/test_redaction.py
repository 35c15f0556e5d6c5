"""What a log line may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.redaction import FIELDS, label, masked, safe


@pytest.mark.parametrize("text", ["015", "MSG-2026.0001", "20260313", "a1"])
def test_a_control_id_is_kept(text: str) -> None:
    assert safe("message", text) == text


@pytest.mark.parametrize(
    "text",
    [
        "279035121518989",
        "20260313160000123",
        "2790351215189",
        "P279035121518989X",
        "2.79.03.51.215.189.89",
        "2AB-190032A123456",
        "MARTIN-ADELE",
        "A" * 40 + "1",
    ],
)
def test_what_may_name_a_person_is_replaced(text: str) -> None:
    found = safe("message", text)
    assert found == masked(text)
    assert text not in str(found)


def test_the_same_text_has_the_same_hash_in_one_process() -> None:
    assert masked("MARTIN") == masked("MARTIN") != masked("MARTEN")


def test_an_unknown_field_is_not_written() -> None:
    assert safe("title", "Compte rendu") is None


@pytest.mark.parametrize(("name", "value"), [("seconds", "12"), ("codes", "INS_KEY"), ("source", 5), ("source", "")])
def test_a_value_of_another_kind_is_not_written(name: str, value: object) -> None:
    assert safe(name, value) is None


def test_places_of_another_form_are_left_out() -> None:
    assert safe("places", ("PID[1]-3[2].4.1", "MSH[1]", "/ClinicalDocument/MARTIN", "PID-5 MARTIN")) == [
        "PID[1]-3[2].4.1",
        "MSH[1]",
    ]


@given(st.sampled_from(sorted(FIELDS)), st.text() | st.lists(st.text()))
def test_no_control_character_passes(name: str, value: object) -> None:
    found = safe(name, value)
    assert all(
        " " < character <= "~" for text in (found if isinstance(found, list) else [str(found or "")]) for character in text
    )


@given(st.text())
def test_a_label_is_bounded(text: str) -> None:
    assert label("type", text) in {"other", text}
    assert label("source", text + " ") == "other"
    assert label("type", "MARTIN^ADELE") == "other"
