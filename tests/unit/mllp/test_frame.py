"""Framing under any cutting of the bytes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.mllp.frame import HEAD_BYTES, Fault, Frame, FrameError, FrameReader

LIMIT = 64


def read(data: bytes, limit: int = LIMIT) -> list[Frame | FrameError]:
    return FrameReader(limit).feed(data)


def framed(payload: bytes) -> bytes:
    return b"\x0b" + payload + b"\x1c\r"


def test_a_frame() -> None:
    assert read(framed(b"MSH|one")) == [Frame(b"MSH|one")]


def test_several_frames_in_one_read_with_blanks_between() -> None:
    assert read(b"\r\n " + framed(b"a") + b"\n\t" + framed(b"b") + framed(b"c") + b"\r\n") == [
        Frame(b"a"),
        Frame(b"b"),
        Frame(b"c"),
    ]


@pytest.mark.parametrize("tail", [b"\r", b"\n", b"\r\n"])
def test_a_line_end_before_the_end_block_belongs_to_the_payload(tail: bytes) -> None:
    assert read(framed(b"MSH|" + tail)) == [Frame(b"MSH|" + tail)]


def test_an_end_block_without_its_cr_ends_at_the_next_start_or_at_the_end() -> None:
    reader = FrameReader(LIMIT)
    assert reader.feed(b"\x0ba\x1c\x0bb\x1c") == [Frame(b"a")]
    assert reader.inside
    assert reader.end() == Frame(b"b")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"GET / HTTP/1.1\r\n", FrameError(Fault.LOST, b"")),
        (b"\x0bMSH|a\x1cb", FrameError(Fault.LOST, b"MSH|a", 5)),
        (b"\x0bMSH|a\x0bMSH|b\x1c\r", FrameError(Fault.TRUNCATED, b"MSH|a", 5)),
        (b"\x0b" + b"x" * (LIMIT + 1), FrameError(Fault.TOO_LARGE, b"x" * (LIMIT + 1), LIMIT + 1)),
    ],
)
def test_a_lost_boundary_ends_the_reading(data: bytes, error: FrameError) -> None:
    reader = FrameReader(LIMIT)
    assert reader.feed(framed(b"first") + data + framed(b"never")) == [Frame(b"first"), error]
    assert reader.feed(framed(b"never")) == []
    assert reader.held == 0
    assert reader.end() is None


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_up_to_the_limit_a_frame_is_taken(size: int) -> None:
    assert read(framed(b"x" * size)) == [Frame(b"x" * size)]


def test_past_the_limit_the_head_is_kept_and_no_more() -> None:
    payload = b"MSH|" + b"x" * 100_000
    (error,) = read(framed(payload), 50_000)
    assert error == FrameError(Fault.TOO_LARGE, payload[:HEAD_BYTES], 50_001)


def test_a_frame_that_stops_is_truncated() -> None:
    reader = FrameReader(LIMIT)
    assert reader.feed(b"\x0bMSH|a") == []
    assert reader.end() == FrameError(Fault.TRUNCATED, b"MSH|a", 5)


def test_the_end_between_frames_is_nothing() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(framed(b"a"))
    assert reader.end() is None


PIECES = st.one_of(
    st.binary(max_size=12).map(framed),
    st.binary(max_size=8),
    st.sampled_from(
        [b"\x0b", b"\x1c", b"\r", b"\n", b" ", b"\x1c\r", b"x" * LIMIT, framed(b"x" * LIMIT), framed(b"y" * (LIMIT + 1))]
    ),
)


@given(st.lists(PIECES, max_size=12).map(b"".join), st.data())
def test_any_cutting_gives_the_same_frames(data: bytes, draw: st.DataObject) -> None:
    whole = FrameReader(LIMIT)
    expected = [*whole.feed(data), whole.end()]
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    cut = FrameReader(LIMIT)
    found = [item for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True) for item in cut.feed(data[start:stop])]
    assert [*found, cut.end()] == expected
    trickled = FrameReader(LIMIT)
    assert [*(item for byte in data for item in trickled.feed(bytes([byte]))), trickled.end()] == expected


@given(st.lists(st.binary(max_size=LIMIT).filter(lambda b: not {0x0B, 0x1C} & set(b))))
def test_what_is_framed_comes_back(payloads: list[bytes]) -> None:
    assert read(b"".join(map(framed, payloads))) == [Frame(payload) for payload in payloads]


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_no_more_is_held_than_the_limit(chunks: list[bytes]) -> None:
    reader = FrameReader(LIMIT)
    for chunk in chunks:
        reader.feed(chunk)
        assert reader.held <= LIMIT


def test_the_time_grows_with_the_size_only() -> None:
    """A reader that looked again at what it holds would need 256 times as long for 16 times as much."""

    def seconds(size: int) -> float:
        best = float("inf")
        for _ in range(3):
            reader = FrameReader(size)
            reader.feed(b"\x0b")
            started = time.thread_time()
            for _ in range(size // 256):
                reader.feed(b"x" * 256)
            best = min(best, time.thread_time() - started)
        return best

    assert seconds(8_000_000) < 100 * seconds(500_000)


def test_what_is_given_up_leaves_its_head_and_nothing_else() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(b"\x0bMSH|a")
    assert reader.give_up() == FrameError(Fault.OVERLOADED, b"MSH|a", 5)
    assert reader.held == 0
    assert reader.feed(b"b\x1c\r\x0bMSH|c\x1c\r") == []


def test_what_is_forgotten_is_not_held() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(b"\x0bMSH|a")
    reader.forget()
    assert (reader.held, reader.inside, reader.end()) == (0, False, None)
