"""multipart/form-data: what was put together is taken apart byte for byte, whatever else is refused, and no file is written."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.http.body import media_type
from gateway.adapters.http.call import MediaType, Refused
from gateway.adapters.http.multipart import LONGEST_HEAD, MOST_PARTS, Part, parts

KIND = media_type("multipart/form-data; boundary=XX")


def put(*given: tuple[str, bytes], boundary: str = "XX", head: str = "") -> bytes:
    pieces = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{head}\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in given
    ]
    return b"".join((*pieces, f"--{boundary}--\r\n".encode()))


@given(
    contents=st.lists(st.binary(max_size=60) | st.sampled_from([b"--XX", b"\r\n--X", b"\r\n-", b"\r\n--XY\r\n"]), max_size=4),
    preamble=st.sampled_from([b"", b"\r\n", b"nothing of ours\r\n"]),
)
def test_what_was_put_together_is_taken_apart(contents: list[bytes], preamble: bytes) -> None:
    given_parts = [(f"part{number}", content) for number, content in enumerate(contents)]
    if any(b"\r\n--XX" in b"\r\n" + content for _, content in given_parts):
        return  # its sender would have chosen another boundary
    found = parts(preamble + put(*given_parts), KIND)
    assert {name: part.content for name, part in found.items()} == dict(given_parts)


@given(
    body=st.binary(max_size=300)
    | st.lists(st.sampled_from([b"--XX", b"\r\n", b"--", b"Content-Disposition: form-data; name=a", b"x"])).map(b"".join)
)
def test_whatever_bytes_it_is_of_it_is_read_or_refused(body: bytes) -> None:
    found: dict[str, Part] = {}
    with contextlib.suppress(Refused):
        found = parts(body, KIND)
    assert all(part.content in body for part in found.values())


@pytest.mark.parametrize("boundary", ["", "é", "a" * 71, "a ", "a\tb", 'a"b'])
def test_a_boundary_has_its_form(boundary: str) -> None:
    with pytest.raises(Refused, match="HTTP_BODY_INVALID"):
        parts(put(("a", b"x")), MediaType(name="multipart/form-data", parameters={"boundary": boundary}))


def test_a_boundary_may_be_quoted_and_as_long_as_it_may_be() -> None:
    boundary = "'()+_,-./:=?" + "a" * 58
    kind = media_type(f'multipart/form-data; boundary="{boundary}"')
    assert parts(put(("a", b"x"), boundary=boundary), kind)["a"].content == b"x"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the boundary is not in the body"),
        (b"--XX\r\n", "it breaks off"),
        (put(("a", b"x"))[:-8], "it breaks off"),
        (put(("a", b"x")) + b"more", "it goes on behind its end"),
        (put(("a", b"x"), ("a", b"y")), "two parts of one name"),
        (b"--XX\r\n\r\nx\r\n--XX--", "a part without a name"),
        (b"--XX\r\nContent-Type: text/xml\r\n\r\nx\r\n--XX--", "a part without a name"),
        (b"--XX\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XX--", "a part without a name"),
        (b"--XX\r\nContent-Disposition form-data\r\n\r\nx\r\n--XX--", "a header of a part"),
        (put(("a", b"x"), head="\r\nContent-Type: a\r\nContent-Type: b"), "a header of a part"),
        (put(("a", b"x"), head="\r\nX: " + "x" * LONGEST_HEAD), "a part without a blank line behind its headers"),
        (put(("a", b"x"), head="\r\n folded"), "a header of a part"),
        (b"--XXX\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--XXX--", "a line that only begins like the boundary"),
        (put(*((str(number), b"") for number in range(MOST_PARTS + 1))), f"more than {MOST_PARTS} parts"),
    ],
)
def test_what_is_put_together_wrongly_is_refused_in_words(body: bytes, detail: str) -> None:
    with pytest.raises(Refused) as caught:
        parts(body, KIND)
    assert caught.value.problems[0].detail == f"multipart: {detail}"


@pytest.mark.parametrize(
    "disposition", ["form-data; name=a", 'form-data; filename="b.xml"; name="a"', 'FORM-DATA; Name="a"; x=y']
)
def test_a_name_is_found_however_it_is_written(disposition: str) -> None:
    found = parts(f"--XX\r\ncontent-disposition: {disposition}\r\n\r\nx\r\n--XX--".encode(), KIND)
    assert list(found) == ["a"]


def test_a_parts_type_is_read() -> None:
    body = put(("a", b"x"), head="\r\nContent-Type: Text/XML; charset=utf-8")
    assert parts(body, KIND)["a"].media_type == MediaType(name="text/xml", parameters={"charset": "utf-8"})


def test_a_name_is_ours_to_show() -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]+", next(iter(parts(put(("a.b_c-1", b"")), KIND))))
