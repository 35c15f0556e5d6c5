"""Requests that are none, or that two readers would read in two ways: raw bytes, by name."""

from collections.abc import Iterator
from typing import Final

_HOST: Final = b"Host: gateway\r\n"
_END: Final = b"Connection: close\r\n\r\n"


def _get(target: bytes, more: bytes = b"", method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return method + b" " + target + b" " + version + b"\r\n" + _HOST + more + _END


def _post(more: bytes, body: bytes = b"") -> bytes:
    head = b"POST /cda HTTP/1.1\r\n" + _HOST + b"Content-Type: text/xml\r\n" + more + _END
    return head + body


_TARGETS: Final = {
    "up": b"/../../etc/passwd",
    "up, encoded": b"/%2e%2e/%2e%2e/etc/passwd",
    "up, encoded twice": b"/%252e%252e/etc/passwd",
    "up inside": b"/fhir/../deposits/x",
    "a backslash": b"/..\\..\\etc\\passwd",
    "two slashes": b"//metrics",
    "an encoded slash": b"/deposits%2Fx",
    "an encoded NUL": b"/deposits/%00",
    "an encoded line end": b"/deposits/%0d%0aSet-Cookie:%20a=b",
    "broken UTF-8": b"/deposits/%ff%fe",
    "overlong UTF-8": b"/%c0%af",
    "raw bytes": b"/\xff\xfe",
    "a semicolon": b"/metrics;x=1",
    "a capital": b"/Metrics",
    "a percent sign alone": b"/%",
    "half an escape": b"/%2",
    "no escape": b"/%zz",
    "no slash": b"metrics",
    "an asterisk": b"*",
    "an authority": b"gateway:8080",
    "a fragment": b"/x#/metrics",
    "a template": b"/deposits/{{7*7}}",
    "an expression": b"/deposits/${jndi:ldap://127.0.0.1:9/x}",
    "SQL": b"/deposits/'%20OR%20'1'='1",
    "a script": b"/deposits/<script>alert(1)</script>",
    "a very long one": b"/" + b"a" * 20_000,
    "ten thousand segments": b"/" + b"a/" * 5_000,
    "an unknown path": b"/admin",
    "a file of ours": b"/gateway/cli/main.py",
    "a hidden file": b"/.git/config",
    "the environment": b"/.env",
}
_METHODS: Final = (
    *(
        b"TRACE",
        b"TRACK",
        b"CONNECT",
        b"OPTIONS",
        b"PUT",
        b"PATCH",
        b"DELETE",
        b"PROPFIND",
        b"DEBUG",
        b"get",
        b"Get",
        b"G\0T",
        b"",
        b"PRI",
    ),
    *(b"G\0T", b"", b"PRI", b"X" * 5_000, b"GET\t/", b"\x16\x03\x01"),
)
_HEADS: Final = {
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5\r\n",
    "two lengths in one": b"Content-Length: 4, 5\r\n",
    "a negative length": b"Content-Length: -1\r\n",
    "a signed length": b"Content-Length: +4\r\n",
    "a hexadecimal length": b"Content-Length: 0x4\r\n",
    "a length of letters": b"Content-Length: four\r\n",
    "a length with a blank inside": b"Content-Length: 1 0\r\n",
    "a length of other digits": "Content-Length: ٤\r\n".encode(),
    "a length with an underscore": b"Content-Length: 1_0\r\n",
    "a length of a hundred digits": b"Content-Length: " + b"9" * 100 + b"\r\n",
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n",
    "a coding in another place": b"Transfer-Encoding: chunked, identity\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "a coding with a tab": b"Transfer-Encoding:\x0bchunked\r\n",
    "a coding before a colon": b"Transfer-Encoding : chunked\r\n",
    "gzip and chunked": b"Transfer-Encoding: gzip, chunked\r\n",
    "a line that goes on": b"X-A: b\r\n c\r\n",
    "a header without a colon": b"X-A\r\n",
    "a header without a name": b": b\r\n",
    "a NUL in a value": b"X-A: a\0b\r\n",
    "a CR in a value": b"X-A: a\rb\r\n",
    "a line feed alone": b"X-A: a\nX-B: b\r\n",
    "a name with a blank": b"X A: b\r\n",
    "a name in another script": "Х-А: b\r\n".encode(),
    "40 kB of one header": b"X-A: " + b"a" * 40_000 + b"\r\n",
    "ten thousand headers": b"X-A: b\r\n" * 10_000,
    "two hosts": b"Host: other\r\n",
}
_CHUNKS: Final = {
    "no size": b"\r\nx\r\n0\r\n\r\n",
    "a negative size": b"-1\r\nx\r\n0\r\n\r\n",
    "a size of letters": b"zz\r\nx\r\n0\r\n\r\n",
    "a size with 0x": b"0x1\r\nx\r\n0\r\n\r\n",
    "a size with an underscore": b"1_0\r\nx\r\n0\r\n\r\n",
    "a size of a hundred digits": b"f" * 100 + b"\r\nx\r\n",
    "more than its size": b"1\r\nxx\r\n0\r\n\r\n",
    "line feeds alone": b"1\nx\n0\n\n",
    "an extension of 40 kB": b"1;" + b"a" * 40_000 + b"\r\nx\r\n0\r\n\r\n",
}


def requests() -> Iterator[tuple[str, bytes]]:
    """Every request by its name."""
    for name, target in _TARGETS.items():
        yield f"target: {name}", _get(target)
    for method in _METHODS:
        yield f"method {method[:12]!r}", _get(b"/cda", method=method)
    for version in (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.10", b"HTTP/9.9", b"HTTP/x", b"http/1.1", b"ICY/1.1", b""):
        yield f"version {version!r}", _get(b"/cda", version=version)
    for name, head in _HEADS.items():
        yield f"head: {name}", _post(head, b"<a/>")
    for name, chunks in _CHUNKS.items():
        yield f"chunks: {name}", _post(b"Transfer-Encoding: chunked\r\n", chunks)
    for name, data in (
        ("a message", b"\x0bMSH|^~\\&|A|B\r\x1c\r"),
        ("a TLS hello", bytes.fromhex("160301020001fc0303") + bytes(500)),
        ("AMQP", b"AMQP\0\0\x09\x01"),
        ("NULs", bytes(1000)),
        ("line ends", b"\r\n" * 1000),
        ("a PROXY header", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + _get(b"/metrics")),
        ("a PROXY header of the second form", b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c" + bytes(12)),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("no line", b"GET"),
        ("blanks in front", b"   GET /metrics HTTP/1.1\r\n" + _HOST + _END),
    ):
        yield f"no request: {name}", data
