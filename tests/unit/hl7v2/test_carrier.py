"""Base64 in OBX-5.5: what is tolerated, what is not, and that every byte can be put back."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.common import carrier
from gateway.mappers.common.carrier import Carried, NotBase64, cut, decode, restore

BLANKS = (b"\r", b"\n", b" ", b"\\.br\\", b"\\X0D\\", b"\\X0A\\", b"\\X0D0A\\", b"\\X0d0a\\")


@pytest.mark.parametrize(
    ("written", "content", "padding"),
    [
        (b"QUJD", b"ABC", 0),
        (b"QUI=", b"AB", 1),
        (b"QUI", b"AB", 0),
        (b"QQ==", b"A", 2),
        (b"QQ=", b"A", 1),
        (b"QUJD=", b"ABC", 1),
        (b"", b"", 0),
        (b"QU JD", b"ABC", None),
        (b"QU\\.br\\JD", b"ABC", None),
        (b"QU\\X0D0A\\JD\\X0A\\", b"ABC", None),
        # The last group has bits set that encode nothing: readable, but not what would be written again.
        (b"QR==", b"A", None),
    ],
)
def test_what_is_read(written: bytes, content: bytes, padding: int | None) -> None:
    decoded = decode(written)
    assert (decoded.content, decoded.padding) == (content, padding)


@pytest.mark.parametrize(
    ("written", "offset"),
    [
        (b"QU!JD", 2),
        (b"QUJD\\F\\", 4),
        (b"QQ===", 4),
        (b"QQ==QQ==", 4),
        (b"Q", 1),
        (b"QUJD\tQUJD", 4),
        (b"QUJD\\.br\\QU*D", 11),
        (b"QU-_", 2),
    ],
)
def test_what_is_refused_at_its_first_bad_byte(written: bytes, offset: int) -> None:
    with pytest.raises(NotBase64) as caught:
        decode(written)
    assert caught.value.offset == offset


def test_another_escape_character() -> None:
    assert decode(b"QU!.br!JD", b"!").content == b"ABC"
    with pytest.raises(NotBase64):
        decode(b"QU\\.br\\JD", b"!")


@given(st.binary(max_size=300), st.integers(0, 2), st.lists(st.tuples(st.integers(0, 400), st.sampled_from(BLANKS)), max_size=5))
def test_line_ends_anywhere_change_nothing(content: bytes, padding: int, blanks: list[tuple[int, bytes]]) -> None:
    text = base64.b64encode(content).rstrip(b"=") + b"=" * padding
    pieces = [text[n : n + 1] for n in range(len(text))]
    for at, blank in blanks:
        pieces.insert(at % (len(pieces) + 1), blank)
    decoded = decode(b"".join(pieces))
    assert decoded.content == content
    assert decoded.padding == (None if blanks else padding)


documents = st.lists(
    st.tuples(st.binary(max_size=60), st.integers(0, 2), st.booleans(), st.binary(max_size=20)), min_size=1, max_size=4
)


@given(st.binary(max_size=20), documents)
def test_what_was_cut_out_is_put_back_byte_for_byte(head: bytes, parts: list[tuple[bytes, int, bool, bytes]]) -> None:
    payload, carried = head, []
    for content, padding, is_broken_into_lines, tail in parts:
        text = base64.b64encode(content).rstrip(b"=") + b"=" * padding
        if is_broken_into_lines:
            text = b" " + text
        carried.append(Carried(decode(text), len(payload), len(payload) + len(text)))
        payload += text + tail
    cut_parts, carriers = cut(payload, carried)
    assert restore(cut_parts, carriers) == payload
    assert restore(cut_parts, carriers[::-1]) == payload
    assert cut_parts[1:] == tuple(content for content, *_ in parts)
    assert len(cut_parts[0]) == len(payload) - sum(one.end - one.start for one in carriers)
    assert [one.part for one in carriers] == [n for n, part in enumerate(parts, 1) if not part[2]]


@pytest.mark.parametrize("text", [b"AAAA=", b"AAAA====", b"AAA=AAAA", b"Zh==", b"Zg=", b"Zg", b"Z g=", b"Zg\r\n", b"A", b"===="])
def test_only_canonical_base64_takes_the_short_way(text: bytes) -> None:
    assert carrier._usual(text) is None


@pytest.mark.parametrize("content", [b"", b"f", b"fo", b"foo", b"foobar", bytes(1000)])
def test_canonical_base64_is_walked_over_once(content: bytes) -> None:
    text = base64.b64encode(content)
    assert carrier._usual(text) == carrier.Decoded(content, text.count(b"="))


def test_an_escape_character_of_the_alphabet_is_read_as_an_escape_first() -> None:
    assert decode(b"+X0D+AAAA", b"+").content == bytes(3)
