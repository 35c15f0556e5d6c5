import random
import struct
import tracemalloc

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.model.problem import Unreadable
from gateway.model.submission import Deposit
from gateway.queue import wire
from gateway.queue.errors import Damaged, NewerVersion, Unopened
from tests.strategies.submissions import deposit, deposits, patient

NOISE = random.Random(7).randbytes(400_000)


def header(data: bytes) -> tuple[dict, bytes]:
    (length,) = struct.unpack_from(">I", data, 1)
    return msgspec.json.decode(data[5 : 5 + length]), data[5 + length :]


def written(head: object, parts: bytes, version: int = 1) -> bytes:
    text = msgspec.json.encode(head)
    return struct.pack(">BI", version, len(text)) + text + parts


@given(deposits())
def test_what_is_written_is_read_back(made) -> None:
    assert wire.decode(wire.encode(made)) == made


def test_text_shrinks_and_what_is_compressed_already_travels_as_it_is() -> None:
    text = b"<section><title>Conclusion</title></section>" * 1000
    head, parts = header(wire.encode(deposit(contents=(text, NOISE))))
    assert [part.get("zstd", False) for part in head["parts"]] == [False, True, False]
    assert head["parts"][1]["stored"] < len(text) / 20
    assert parts.endswith(NOISE)


def test_a_large_text_comes_back() -> None:
    numbers = random.Random(3)
    text = b"".join(b"<value>%d</value>" % numbers.randrange(1 << 60) for _ in range(600_000))
    made = deposit(contents=(text,))
    assert len(text) > 15_000_000
    assert wire.decode(wire.encode(made)).parts[1] == text


@given(st.binary(max_size=300))
@example(b"")
@example(b"\x00")
@example(b"\x01\xff\xff\xff\xff")
@example(b"\x02")
@example(b"\x01\x00\x00\x00\x02{}")
def test_any_bytes_are_refused_in_one_way(data) -> None:
    with pytest.raises(Unopened):
        wire.decode(data)


@given(deposits(), st.data())
def test_a_damaged_deposit_is_read_or_refused_and_nothing_else(made, data) -> None:
    whole = bytearray(wire.encode(made))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = wire.decode(bytes(whole))
    except Unopened:
        return
    assert len(read.parts) == len(made.parts)


@given(deposits(), st.data())
def test_a_cut_deposit_is_damaged(made, data) -> None:
    whole = wire.encode(made)
    with pytest.raises(Damaged):
        wire.decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_bytes_behind_the_end_are_damage() -> None:
    with pytest.raises(Damaged, match="sizes"):
        wire.decode(wire.encode(deposit()) + b"\0")


def test_a_newer_version_is_told_apart() -> None:
    whole = wire.encode(deposit())
    with pytest.raises(NewerVersion):
        wire.decode(b"\x02" + whole[1:])
    with pytest.raises(Damaged):
        wire.decode(b"\x00" + whole[1:])


def test_the_readers_are_this_version_and_the_one_before() -> None:
    assert set(wire.READERS) == {version for version in (wire.VERSION - 1, wire.VERSION) if version}


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (lambda head: head["parts"][1], {"size": 10**12}),
        (lambda head: head["parts"][1], {"size": -1}),
        (lambda head: head["parts"][1], {"stored": 1}),
        (lambda head: head["parts"][1], {"class": "os.system"}),
        (lambda head: head, {"more": 1}),
        (lambda head: head["submission"], {"more": 1}),
        (lambda head: head["submission"]["documents"][0], {"part": 2}),
        (lambda head: head["submission"]["documents"][0], {"part": -1}),
        (lambda head: head["submission"]["carriers"][0], {"part": 9}),
        (lambda head: head["submission"], {"act": "erase"}),
        (lambda head: head["reception"], {"receipt": 7}),
    ],
)
def test_a_header_of_another_shape_is_damaged(change, value) -> None:
    head, parts = header(wire.encode(deposit()))
    assert wire.decode(written(head, parts)) == deposit()
    change(head).update(value)
    with pytest.raises(Damaged):
        wire.decode(written(head, parts))


def test_a_deep_header_is_damaged() -> None:
    text = b'{"reception":' + b"[" * 100_000
    with pytest.raises(Damaged):
        wire.decode(struct.pack(">BI", 1, len(text)) + text)


def test_the_sizes_are_bounded_together() -> None:
    head, parts = header(wire.encode(deposit(contents=(b"a", b"b"))))
    for part in head["parts"][1:]:
        part["size"] = wire.UNPACKED_LIMIT_BYTES
    with pytest.raises(Damaged, match="over the limit"):
        wire.decode(written(head, parts))


@pytest.mark.parametrize("declared", [99, 101, 1_000])
def test_a_frame_that_holds_more_or_less_than_it_says_is_damaged(declared: int) -> None:
    head, _ = header(wire.encode(deposit(contents=(b"a",))))
    frame = wire.zstd.compress(b"a" * 100)
    payload = b"MSH|^~\\&|RIS|VALMONT\r"
    head["parts"][1] = {"size": 100, "stored": len(frame), "zstd": True}
    assert wire.decode(written(head, payload + frame)).parts[1] == b"a" * 100
    head["parts"][1]["size"] = declared
    with pytest.raises(Damaged, match="size of a part"):
        wire.decode(written(head, payload + frame))


def test_a_bomb_is_not_unpacked() -> None:
    head, _ = header(wire.encode(deposit(contents=(b"a",))))
    bomb = wire.zstd.compress(bytes(500_000_000))
    payload = b"MSH|^~\\&|RIS|VALMONT\r"
    head["parts"][1] = {"size": 1_000, "stored": len(bomb), "zstd": True}
    data = written(head, payload + bomb)
    tracemalloc.start()
    try:
        with pytest.raises(Damaged, match="size of a part"):
            wire.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_frame_that_asks_for_a_large_window_is_damaged() -> None:
    options = {wire.zstd.CompressionParameter.window_log: 27, wire.zstd.CompressionParameter.content_size_flag: 0}
    packer = wire.zstd.ZstdCompressor(options=options)
    frame = packer.compress(b"a" * 1000) + packer.flush()
    head, _ = header(wire.encode(deposit(contents=(b"a",))))
    head["parts"][1] = {"size": 1_000, "stored": len(frame), "zstd": True}
    with pytest.raises(Damaged, match="frame"):
        wire.decode(written(head, b"MSH|^~\\&|RIS|VALMONT\r" + frame))


@pytest.mark.parametrize(("more", "fits"), [(-1, True), (0, True), (1, False)])
def test_the_limit_of_all_parts(monkeypatch: pytest.MonkeyPatch, more: int, fits: bool) -> None:
    made = deposit(contents=(b"x" * 1000,))
    monkeypatch.setattr(wire, "UNPACKED_LIMIT_BYTES", sum(map(len, made.parts)) - more)
    if fits:
        assert wire.decode(wire.encode(made)) == made
    else:
        with pytest.raises(Unreadable) as refused:
            wire.encode(made)
        assert refused.value.problems[0].code == "TOO_LARGE"


def test_what_could_not_be_read_is_not_written() -> None:
    with pytest.raises(ValueError, match="part"):
        wire.encode(Deposit(reception=deposit().reception, submission=deposit().submission, parts=(b"",)))
    with pytest.raises(ValueError, match="surrogate") as refused:
        wire.encode(deposit(identity=patient(family="\ud800CANARI")))
    assert "CANARI" not in str(refused.value) and refused.value.__cause__ is None
