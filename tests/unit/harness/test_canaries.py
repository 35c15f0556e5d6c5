"""The search for marks sees them in every form in which bytes are left."""

import base64
import gzip
import zlib
from pathlib import Path

import pytest

from gateway.store.packing import pack
from tests.harness.canaries import Canaries

MARK = "Canari-É7"
PLAIN = b"before " + MARK.encode() + b" after"
FORMS = {
    "as it is": PLAIN,
    "8859-15": MARK.encode("iso-8859-15"),
    "UTF-16": MARK.encode("utf-16-le"),
    "UTF-16, the other way": MARK.encode("utf-16-be"),
    "hexadecimal": PLAIN.hex().encode(),
    "HEXADECIMAL": PLAIN.hex().upper().encode(),
    **{f"base64, {shift} bytes in": base64.b64encode(b"x" * shift + PLAIN) for shift in range(3)},
    "gzip": gzip.compress(PLAIN * 9),
    "zlib": zlib.compress(PLAIN * 9),
    "zstd": pack(PLAIN * 9)[1],
    "gzip of base64": gzip.compress(base64.b64encode(PLAIN)),
    "gzip in zlib": zlib.compress(gzip.compress(PLAIN)),
    "a stream that breaks off": gzip.compress(PLAIN + bytes(range(256)) * 500)[:-300],
    "literals of packed text": b"\0Canar\0i-\xc3\x897\0",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_mark_is_found(form: str, tmp_path: Path) -> None:
    canaries = Canaries([MARK], loose=True)
    (tmp_path / "file").write_bytes(b"\xff" * 100 + FORMS[form] + b"\xff" * 100)
    assert canaries.search_files(tmp_path), form
    (tmp_path / "file").write_bytes(b"\xff" * 100 + FORMS[form].replace(b"C", b"D")[::2])
    assert not canaries.search_files(tmp_path), form


def test_what_follows_a_mark_is_read_in_each_form(tmp_path: Path) -> None:
    for written in (b"CNRYMARK12345678", b"CNRYMARK12345678".hex().encode(), base64.b64encode(b"-CNRYMARK12345678 ")):
        (tmp_path / "file").write_bytes(b"\0" + written + b"\0")
        assert [after for _, after in Canaries(["CNRYMARK"]).followed_by(tmp_path, 8)] == [b"12345678"]
