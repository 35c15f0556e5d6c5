"""Dates keep the precision and zone they were written with (D-21)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.when import Precision, When, Zone


@pytest.mark.parametrize(
    ("written", "iso", "precision", "zone", "start", "end"),
    [
        ("2026", "2026", Precision.YEAR, Zone.NONE, "2025-12-31T23:00", "2026-12-31T23:00"),
        ("202612", "2026-12", Precision.MONTH, Zone.NONE, "2026-11-30T23:00", "2026-12-31T23:00"),
        ("20260310", "2026-03-10", Precision.DAY, Zone.NONE, "2026-03-09T23:00", "2026-03-10T23:00"),
        # The day of the change to summer time has 23 hours.
        ("20260329", "2026-03-29", Precision.DAY, Zone.NONE, "2026-03-28T23:00", "2026-03-29T22:00"),
        ("2026031011", "2026-03-10T11", Precision.HOUR, Zone.ASSUMED, "2026-03-10T10:00", "2026-03-10T11:00"),
        ("202603101120", "2026-03-10T11:20", Precision.MINUTE, Zone.ASSUMED, "2026-03-10T10:20", "2026-03-10T10:21"),
        ("202607101120+0000", "2026-07-10T11:20+00:00", Precision.MINUTE, Zone.WRITTEN, "2026-07-10T11:20", "2026-07-10T11:21"),
        ("20260710112030", "2026-07-10T11:20:30", Precision.SECOND, Zone.ASSUMED, "2026-07-10T09:20:30", "2026-07-10T09:20:30"),
        ("20240229", "2024-02-29", Precision.DAY, Zone.NONE, "2024-02-28T23:00", "2024-02-29T23:00"),
    ],
)
def test_reads(  # noqa: PLR0917 - the columns of the table
    written: str, iso: str, precision: Precision, zone: Zone, start: str, end: str
) -> None:
    when = When.read(written)
    assert (when.written, when.iso, when.precision, when.zone) == (written, iso, precision, zone)
    assert when.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert when.end == datetime.fromisoformat(end).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "0000", "0999", "2026-03-10", "2026031", "20261301", "20260230", "20230229", "2026031024", "20260310 ", "２０２６",
     "1_000", "20260310112030+1500", "20260310112030+0160", "+0100", "20260310112030.", "202603101120301"],
)  # fmt: skip
def test_refuses_without_repeating_the_value(text: str) -> None:
    with pytest.raises(ValueError, match=r".+") as refused:
        When.read(text)
    assert text == "" or text not in str(refused.value)


def test_the_last_instant_of_the_calendar_has_an_end() -> None:
    assert When.read("99991231").end.year == 9999


def test_an_odd_form_is_kept_as_written_and_counted_by_its_proper_one() -> None:
    proper = When.read("20210409094914.827+0100")
    odd = When(written="20210409094914827+0100", iso=proper.iso, precision=proper.precision, zone=proper.zone)
    assert odd.start == proper.start


@given(st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9998, 1, 1)))  # noqa: DTZ001 - hypothesis adds the zone
def test_an_instant_comes_back(moment: datetime) -> None:
    instant = moment.replace(tzinfo=UTC)
    assert When.at(instant).start == instant


@given(st.text(max_size=32))
def test_never_anything_but_a_value_error(text: str) -> None:
    try:
        when = When.read(text)
    except ValueError:
        return
    assert when.start <= when.end
