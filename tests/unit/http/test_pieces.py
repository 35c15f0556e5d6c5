"""The pieces of the HTTP door, each by itself: bodies, callers, the table of routes, its description, HL7v2 over HTTP."""

import gzip
import io
import itertools

import msgspec
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters import trust
from gateway.adapters.http import body, openapi, problems
from gateway.adapters.http.application import Application, check
from gateway.adapters.http.call import MediaType, Refused
from gateway.adapters.http.caller import Trust
from gateway.adapters.http.hl7v2 import _status
from gateway.adapters.http.registry import Access, Answered, Registry, Unruled
from gateway.model.problem import Problem
from gateway.model.problems import CODES, NEVER_REFUSES
from gateway.model.source import Certificate, Connection, Directory, Establishment, Grant, Peer, Source
from tests.harness.http_door import ECHO, Served
from tests.unit.mllp.doubles import SAMPLES, unavailable

TOKEN = "c" * 43
ROWS = (
    Source(id="lab", establishment="e", application="A", facility="F", tokens=(trust.token_hash(TOKEN),)),
    Source(id="ris", establishment="e", application="B", facility="F"),
    Source(id="gam", establishment="e", application="C", facility="F", grants=frozenset({Grant.STATE_OPPOSITION})),
)
DIRECTORY = Directory(establishments=(Establishment(id="e", name="E", finess_ej="990000018"),), sources=ROWS)
CONNECTIONS = (
    Connection(door="http", networks=("10.1.0.0/16",), sources=("lab", "gam")),
    Connection(door="http", certificates=("dns:ris.example",), sources=("ris",)),
    Connection(door="mllp", networks=("10.9.0.0/16",), sources=("lab",)),
)
TRUST = Trust(door="http", directory=DIRECTORY, connections=CONNECTIONS, monitor_networks=("10.8.0.0/16",))
NEAR, FAR, OTHER_DOOR = (Peer(address=address, port=1) for address in ("10.1.2.3", "192.0.2.7", "10.9.0.1"))
SHOWN = Peer(
    address="192.0.2.7", port=1, is_encrypted=True, certificate=Certificate(fingerprint="0" * 64, names=("dns:ris.example",))
)


def environ(data: bytes, *, length: str | None = "", coding: str = "", terminated: bool = False) -> dict[str, object]:
    found: dict[str, object] = {"wsgi.input": io.BytesIO(data), "wsgi.input_terminated": terminated}
    if length is not None:
        found["CONTENT_LENGTH"] = length or str(len(data))
    return found | ({"HTTP_CONTENT_ENCODING": coding} if coding else {})


def code(work) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        work()
    return problems.status_of(refused.value), problems.deciding(refused.value).code


@given(st.binary(max_size=64), st.integers(0, 64), st.booleans())
def test_a_body_is_whole_or_refused(data: bytes, limit: int, chunked: bool) -> None:
    given_ = environ(data, length=None if chunked else "", terminated=chunked)
    if len(data) > limit:
        assert code(lambda: body.read(given_, limit)) == (413, "TOO_LARGE")
    else:
        assert body.read(given_, limit) == data


@pytest.mark.parametrize("length", ["-1", "+5", "5x", "٥", "9" * 19, "0x5", "5,5"])
def test_a_length_that_is_none(length: str) -> None:
    assert code(lambda: body.read(environ(b"aaaaa", length=length), 100)) == (400, "HTTP_BODY_INVALID")


@pytest.mark.parametrize("length", ["4", "6"])
def test_a_length_that_is_another(length: str) -> None:
    assert code(lambda: body.read(environ(b"aaaaa", length=length), 100)) == (400, "HTTP_BODY_INVALID")


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=3), st.integers(0, 100))
def test_what_is_packed_is_unpacked_to_the_byte_or_refused(members: list[bytes], limit: int) -> None:
    plain, packed = b"".join(members), b"".join(map(gzip.compress, members))
    if len(plain) > limit:
        assert code(lambda: body.unpack(packed, "gzip", limit)) == (413, "TOO_LARGE")
    else:
        assert body.unpack(packed, "GZIP ", limit) == plain


@given(st.binary(min_size=1, max_size=40))
def test_what_is_no_gzip_is_refused(data: bytes) -> None:
    assert code(lambda: body.unpack(b"\0" + data, "gzip", 100))[0] == 400
    whole = gzip.compress(data)
    assert code(lambda: body.unpack(whole[:-1], "x-gzip", 100)) == (400, "HTTP_BODY_INVALID")
    assert code(lambda: body.unpack(whole + b"tail", "gzip", 100)) == (400, "HTTP_BODY_INVALID")
    assert code(lambda: body.unpack(whole, "gzip, gzip", 100)) == (415, "HTTP_TYPE_UNSUPPORTED")


@pytest.mark.parametrize(
    ("written", "name", "parameters"),
    [
        (None, "", {}),
        ("Text/XML", "text/xml", {}),
        ('application/hl7-v2 ; Charset="UTF-8"; x', "application/hl7-v2", {"charset": "UTF-8"}),
        ("a/b; charset=one; charset=two", "a/b", {"charset": "one"}),
    ],
)
def test_a_media_type(written: str | None, name: str, parameters: dict[str, str]) -> None:
    assert body.media_type(written) == MediaType(name=name, parameters=parameters)


def row(access: Access = Access.SOURCE, *grants: Grant):
    return msgspec.structs.replace(ECHO, access=access, grants=grants)


def who(peer: Peer, **headers: str) -> str:
    source = TRUST.caller(row(), peer, {name.replace("_", "-"): value for name, value in headers.items()}).source
    assert source is not None
    return source.id


def test_a_token_shows_its_source_from_anywhere_and_a_wrong_one_nobody() -> None:
    assert who(FAR, authorization=f"Bearer {TOKEN}") == who(FAR, authorization=f"bearer  {TOKEN}") == "lab"
    assert who(NEAR, authorization=f"Bearer {TOKEN}") == "lab"
    for wrong in ("Bearer x", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é", "Bearer " + "a" * 5000):
        for peer in (NEAR, FAR, SHOWN):
            assert code(lambda wrong=wrong, peer=peer: who(peer, authorization=wrong)) == (401, "NOT_AUTHENTICATED")


def test_a_token_and_a_certificate_of_different_sources_are_nobodys() -> None:
    assert code(lambda: who(SHOWN, authorization=f"Bearer {TOKEN}")) == (401, "NOT_AUTHENTICATED")
    assert code(lambda: who(SHOWN, authorization=f"Bearer {TOKEN}", x_dmp_source="ris")) == (401, "NOT_AUTHENTICATED")
    both = (Connection(door="http", certificates=("dns:ris.example",), sources=("ris", "lab")), *CONNECTIONS[2:])
    other_door = (Connection(door="mllp", certificates=("dns:ris.example",), sources=("ris",)),)
    for rows in (both, other_door, ()):
        known = msgspec.structs.replace(TRUST, connections=rows)
        found = known.caller(row(), SHOWN, {"authorization": f"Bearer {TOKEN}"}).source
        assert found is not None
        assert found.id == "lab"


def test_a_connection_admits_some_and_the_header_chooses_inside() -> None:
    assert who(NEAR, x_dmp_source="gam") == "gam"
    assert who(SHOWN) == who(SHOWN, x_dmp_source="ris") == "ris"
    assert code(lambda: who(NEAR)) == (403, "SOURCE_UNNAMED")
    for beyond in ("ris", "nobody", "", "LAB", "lab,gam"):
        assert code(lambda beyond=beyond: who(NEAR, x_dmp_source=beyond)) == (403, "SOURCE_UNNAMED")
    assert code(lambda: who(FAR, authorization=f"Bearer {TOKEN}", x_dmp_source="ris")) == (403, "SOURCE_UNNAMED")
    for stranger, named in itertools.product((FAR, OTHER_DOOR), ({}, {"x_dmp_source": "lab"})):
        assert code(lambda stranger=stranger, named=named: who(stranger, **named)) == (401, "NOT_AUTHENTICATED")


def test_a_refusal_does_not_tell_which_sources_there_are() -> None:
    for peer, headers in ((NEAR, {}), (NEAR, {"x-dmp-source": "ris"}), (FAR, {"authorization": "Bearer x"})):
        with pytest.raises(Refused) as refused:
            TRUST.caller(row(), peer, headers)
        written = problems.render(refused.value, "r").body
        assert not any(source.id.encode() in written for source in ROWS if source.id != "lab" or b"lab" in written.split(b'"'))
        assert problems.status_of(refused.value) != 401 or refused.value.headers[0][0] == "WWW-Authenticate"


def test_grants_and_monitors() -> None:
    assert code(lambda: TRUST.caller(row(Access.SOURCE, Grant.DEPOSIT), NEAR, {"x-dmp-source": "gam"})) == (
        403,
        "SOURCE_NOT_ALLOWED",
    )
    assert code(lambda: TRUST.caller(row(Access.MONITOR), NEAR, {})) == (403, "ACCESS_DENIED")
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.8.1.1"):
        assert TRUST.caller(row(Access.MONITOR), Peer(address=address, port=1), {}).is_monitor
    assert TRUST.caller(row(Access.PUBLIC), FAR, {}).admitted.sources == ()


WRONG_ROWS = {
    "no rule": {"access": None},
    "a rule that is none": {"access": "public"},
    "grants of nobody": {"access": Access.PUBLIC, "grants": (Grant.DEPOSIT,)},
    "a slash at the end": {"path": "/echo/"},
    "no types of a body": {"consumes": ()},
    "no answer": {"answers": ()},
    "no good answer": {"answers": (Answered(status=400, text="No."),)},
    "a placeholder that nothing says": {"path": "/echo/{id}"},
    "no method": {"method": "FETCH"},
}


@pytest.mark.parametrize("wrong", WRONG_ROWS)
def test_a_row_that_leaves_something_open_does_not_start(wrong: str) -> None:
    with pytest.raises(Unruled):
        Registry([msgspec.structs.replace(ECHO, **WRONG_ROWS[wrong])])


def test_nothing_stands_twice_in_the_table() -> None:
    for changes in ({}, {"name": "other"}, {"path": "/other"}):
        with pytest.raises(Unruled):
            Registry([ECHO, msgspec.structs.replace(ECHO, **changes)])


def test_a_path_that_is_not_in_the_table_does_not_start() -> None:
    registry = Registry([ECHO])
    application = Application(registry, TRUST, body_limit=10)
    check(application.flask, registry)
    application.flask.add_url_rule("/aside", "aside", lambda: "x")
    with pytest.raises(Unruled, match="/aside"):
        check(application.flask, registry)
    with pytest.raises(Unruled, match="/echo"):
        check(Flask("empty", static_folder=None), registry)


def test_the_description_has_every_row_and_every_answer() -> None:
    registry = Registry([ECHO])
    found = openapi.document(registry, "1")["paths"]["/echo"]["post"]
    assert set(found["responses"]) == {"200", "400", "401", "403", "408", "413", "415", "431", "500", "501", "503"}
    assert found["security"]
    refusal = found["responses"]["413"]["content"]["application/problem+json"]["schema"]
    assert refusal == {"$ref": "#/components/schemas/ProblemDetails"}


@pytest.mark.parametrize("problem", sorted(CODES.keys() - NEVER_REFUSES))
def test_every_problem_has_its_status_on_http(problem: str) -> None:
    written = problems.render(Refused(Problem(code=problem)), "r-1")
    found = msgspec.json.decode(written.body, type=problems.ProblemDetails)
    assert (written.status, found.status, found.code, found.request) == (CODES[problem].http,) * 2 + (problem, "r-1")
    assert 400 <= written.status < 600


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"MSH|^~\\&|\rMSA|AA|1", 200),
        (b"MSH|^~\\&|\rMSA|CA|1", 200),
        (b"MSH|^~\\&|\rMSA|AE|1\rERR|", 422),
        (b"MSH|^~\\&|\rMSA|CE|1", 422),
        (b"MSH|^~\\&|\rMSA|AR|1", 503),
        (b"MSH|^~\\&|\rMSA|AR|1\rERR||MSH^1^3|207|E|SOURCE_UNKNOWN^", 403),
        (b"MSH|^~\\&|\rMSA|AA|1\rMSH|^~\\&|\rMSA|AE|2", 422),
        (b"MSH|^~\\&|\rMSA|AE|1\rMSH|^~\\&|\rMSA|AR|2", 503),
        (b"MSH|^~\\&|\rMSA|AA|1\rNTE|1||MSA!AE", 200),
        # A stranger among others: what is to be sent again decides. And an id is no reason.
        (b"MSH|^~\\&|\rMSA|AR|1\rERR|||207|E|SOURCE_UNKNOWN^\rMSH|^~\\&|\rMSA|AR|2\rERR|||207|E|QUEUE_UNAVAILABLE^", 503),
        (b"MSH|^~\\&|\rMSA|AR|1\rERR|||207|E|SOURCE_UNKNOWN^\rMSH|^~\\&|\rMSA|AA|2", 403),
        (b"MSH|^~\\&|\rMSA|AR|SOURCE_UNKNOWN\rERR|||207|E|QUEUE_UNAVAILABLE^", 503),
    ],
)
def test_the_status_follows_the_acknowledgment(answer: bytes, status: int) -> None:
    assert _status(answer) == status


@pytest.mark.door
def test_hl7v2_over_http_is_the_engine_of_mllp() -> None:
    with Served() as served:
        message = next((SAMPLES / "oru").glob("01*")).read_bytes()

        def send(payload: bytes, kind: str = "application/hl7-v2"):
            return served.post("/hl7v2", payload, kind=kind)

        for kind in ("application/hl7-v2", "x-application/hl7-v2+er7; charset=utf-8", "text/plain"):
            found = send(message, kind)
            assert (found.status, found.headers["content-type"]) == (200, "application/hl7-v2")
            assert b"MSA|AA|SILV-0001" in found.body
        assert served.deposits.published[0][0].door == "http"
        bad = send(message.replace(b"284103523811464", b"284103523811463"))
        assert (bad.status, b"MSA|AE" in bad.body) == (422, True)
        foreign = send(message.replace(b"SIL-V", b"SIL-X"))
        assert (foreign.status, b"MSA|AR" in foreign.body) == (403, True)
        served.deposits.error = unavailable()
        away = send(message)
        assert (away.status, away.headers["retry-after"], b"MSA|AR" in away.body) == (503, "5", True)
        assert send(b"").status == 400
        assert send(message, "application/json").status == 415
        accented = "MSH|^~\\&|SIL-V|CHU-VALMONT||||||||||||||UNICODE UTF-8\rPID|é".encode()
        assert send(accented, "text/plain; charset=iso-8859-15").status == 415
        assert send(accented, "text/plain; charset=utf-8").status == 422
