import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.queue.receipt import MacReceipts, source_of

AT = datetime(2026, 11, 21, 9, 0, 0, 123_456, tzinfo=UTC)
RECEIPTS = MacReceipts(b"k" * 32)
sources = st.from_regex(r"\A[A-Za-z0-9._~-]{1,40}\Z")
instants = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants it bare


@given(sources, instants)
def test_it_tells_time_and_source(source, at) -> None:
    parts = RECEIPTS.verify(RECEIPTS.issue(source, at))
    assert parts is not None
    assert parts.source == source
    assert timedelta(0) <= at - parts.issued_at < timedelta(milliseconds=1)


@given(instants, instants)
def test_they_sort_by_time(one, other) -> None:
    first, second = sorted((one, other))
    if second - first >= timedelta(milliseconds=1):
        assert RECEIPTS.issue("a", first) < RECEIPTS.issue("a", second)


def test_the_source_can_be_told_without_the_secret() -> None:
    assert source_of(RECEIPTS.issue("ris-valmont", AT)) == "ris-valmont"
    assert source_of("0123-ris-valmont-0123") == ""


def test_its_form() -> None:
    found = RECEIPTS.issue("ris-valmont", AT)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{22}-ris-valmont-[0-9A-HJKMNP-TV-Z]{8}", found)


def test_the_mac_is_fixed() -> None:
    """Changed by nobody: ids given yesterday are known tomorrow."""
    assert RECEIPTS._mac("01KAJX9M3V8Q2R5T7W1Y4Z-ris-valmont") == "GG3DNF8Q"


def test_no_two_are_equal() -> None:
    assert len({RECEIPTS.issue("a", AT) for _ in range(5000)}) == 5000


def test_another_installation_does_not_know_it() -> None:
    assert MacReceipts(b"l" * 32).verify(RECEIPTS.issue("a", AT)) is None


def test_every_changed_character_is_found() -> None:
    issued = RECEIPTS.issue("ris-valmont", AT)
    for place, was in enumerate(issued):
        for now in "0AZ-.aé":
            if now != was:
                assert RECEIPTS.verify(issued[:place] + now + issued[place + 1 :]) is None


@given(st.text(max_size=60))
def test_any_text_is_none_of_ours(text) -> None:
    assert RECEIPTS.verify(text) is None


@pytest.mark.parametrize("source", ["", "a b", "a/b", "é", "a%b", "x" * 101, "a\n"])
def test_a_source_that_fits_no_url(source) -> None:
    with pytest.raises(ValueError, match="source"):
        RECEIPTS.issue(source, AT)


def test_a_time_before_1970() -> None:
    with pytest.raises(ValueError, match="1970"):
        RECEIPTS.issue("a", datetime(1969, 12, 31, tzinfo=UTC))
