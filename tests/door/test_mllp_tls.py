"""The HL7v2 door over TLS: who comes in by a certificate, who does not and reads why, and new files while it runs."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.adapters.tls import TlsFiles
from gateway.model.source import Connection
from gateway.telemetry import lines
from tests.door.test_mllp_door import MESSAGE, Opened, framed, run, until
from tests.harness.pki import NOW, YEAR, Authority, Made, Pki, dsa_key, ec_key, replace, rsa_key

pytestmark = pytest.mark.door

DAY = timedelta(days=1)
SIL = "dns:sil.chu.example"


@pytest.fixture
def log() -> Iterator[Callable[[str], list[dict[str, object]]]]:
    stream = io.StringIO()
    lines.direct("debug", "json", stream, None)
    yield lambda name: [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == name]
    lines.direct("info", "json", None, None)


@pytest.fixture
def folder(pki: Pki, tmp_path: Path) -> Path:
    pki.write(tmp_path)
    return tmp_path


def files(folder: Path, **changes: str) -> TlsFiles:
    named = {name: str(folder / f"{name}.pem") for name in ("authorities", "revocations")}
    return TlsFiles(**({"certificate": str(folder / "server.pem"), "key": str(folder / "server.key")} | named | changes))


def row(*certificates: str, sources: tuple[str, ...] = ("sil-valmont",), networks: tuple[str, ...] = ()) -> Connection:
    return Connection(door="mllp", networks=networks, sources=sources, certificates=certificates)


@asynccontextmanager
async def opened(folder: Path, *connections: Connection, **changes: Any) -> AsyncIterator[Opened]:
    found = Opened(
        tls_host="127.0.0.1", tls=changes.pop("tls", None) or files(folder), connections=connections or (row(SIL),), **changes
    )
    await found.door.open()
    try:
        yield found
    finally:
        await found.door.stop(2)


def client(pki: Pki, made: Made | None, folder: Path, *, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=pki.servers.pem.decode())
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # what our own side would not show
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if made is not None:
        context.load_cert_chain(*made.write(folder / "clients", f"{made.fingerprint[:8]}"))
    return context


class Told:
    """What a sender was answered, or why TLS failed."""

    def __init__(self, code: str | None = None, alert: str | None = None, shown: bytes | None = None) -> None:
        self.code, self.alert, self.shown = code, alert, shown


async def ask(found: Opened, context: ssl.SSLContext, message: bytes = MESSAGE) -> Told:
    """Send a message over a connection of its own, and read: with TLS 1.3 a refusal comes with the first read."""
    assert found.door.tls is not None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.door.tls.port, ssl=context, server_hostname="localhost")
    except ssl.SSLError as failure:
        return Told(alert=failure.reason)
    except ConnectionError:
        return Told()
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(framed(message))
        answer = await asyncio.wait_for(reader.read(65_536), 10)
        return Told(code=answer.split(b"MSA|")[1][:2].decode() if answer else None, shown=shown)
    except ssl.SSLError as failure:
        return Told(alert=failure.reason)
    except ConnectionError:
        return Told()
    finally:
        writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_admits_its_sources_and_msh_chooses_among_them(version, pki: Pki, folder: Path, log) -> None:
    async def scenario() -> None:
        async with opened(folder) as found:
            good = client(pki, pki.client, folder, version=version)
            assert (await ask(found, good)).code == "AA"
            assert len(found.deposits.published) == 1
            spoofed = MESSAGE.replace(b"|SIL-V|", b"|RIS-V|")
            assert spoofed != MESSAGE
            assert (await ask(found, good, spoofed)).code == "AR"
            spoofed = MESSAGE.replace(b"|CHU-VALMONT|", b"|CLINIQUE-AUBIER|", 1)
            assert spoofed != MESSAGE
            assert (await ask(found, good, spoofed)).code == "AR"
            assert len(found.deposits.published) == 1

    run(scenario)


def _intermediate(**changes: Any) -> Callable[[Pki], Made]:
    def make(pki: Pki) -> Made:
        between = Authority("Between", parent=pki.clients, **changes)
        return between.issue(SIL)

    return make


def _through_a_short_path(pki: Pki) -> Made:
    first = Authority("First", parent=pki.clients, path_length=0)
    second = Authority("Second", parent=first)
    made = second.issue(SIL)
    return Made(made.certificate, made.key, [second.certificate, first.certificate])


def _signed_by_a_leaf(pki: Pki) -> Made:
    leaf = pki.clients.issue("dns:leaf.example", common="leaf")
    made = pki.clients.issue(SIL, signer=leaf.key, issuer=leaf.certificate.subject)
    return Made(made.certificate, made.key, [leaf.certificate])


def _unknown_critical(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    return builder.add_extension(odd, critical=True)


def _renamed(pki: Pki) -> Made:
    """A certificate of somebody else, whose bytes were changed after they were signed."""
    made = pki.clients.issue("dns:ris.chu.example")
    from cryptography.hazmat.primitives.serialization import Encoding

    der = made.certificate.public_bytes(Encoding.DER).replace(b"ris.chu", b"sil.chu")
    return Made(x509.load_der_x509_certificate(der), made.key)


def _name_constrained(pki: Pki) -> Made:
    def only_elsewhere(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        permitted = [x509.DNSName("elsewhere.example")]
        return builder.add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)

    return Authority("Constrained", parent=pki.clients, change=only_elsewhere).issue(SIL)


#: Certificates that must not come in, and the reason in the log.
BAD: dict[str, tuple[Callable[[Pki], Made | None], str]] = {
    "none": (lambda _: None, "certificate_absent"),
    "of another authority": (lambda _: Authority("Clients").issue(SIL), "certificate_"),
    "of another authority of the same name and key id": (lambda _: Authority("Clients").issue(SIL, common="SIL"), "certificate_"),
    "signed by itself": (lambda _: _self_signed(), "certificate_"),
    "of the servers' authority": (lambda pki: pki.servers.issue(SIL), "certificate_unknown_authority"),
    "expired": (lambda pki: pki.clients.issue(SIL, ends=NOW - DAY), "certificate_expired"),
    "expired a second ago": (lambda pki: pki.clients.issue(SIL, ends=NOW - timedelta(seconds=1)), "certificate_expired"),
    "not yet valid": (
        lambda pki: pki.clients.issue(SIL, begins=NOW + DAY, ends=NOW + YEAR),
        "certificate_not_yet_valid",
    ),
    "of a server alone": (
        lambda pki: pki.clients.issue(SIL, purposes=[ExtendedKeyUsageOID.SERVER_AUTH]),
        "certificate_wrong_purpose",
    ),
    "for mail alone": (
        lambda pki: pki.clients.issue(SIL, purposes=[ExtendedKeyUsageOID.EMAIL_PROTECTION]),
        "certificate_wrong_purpose",
    ),
    "for signing code": (
        lambda pki: pki.clients.issue(SIL, purposes=[ExtendedKeyUsageOID.CODE_SIGNING]),
        "certificate_wrong_purpose",
    ),
    "through an authority that expired": (_intermediate(begins=NOW - YEAR, ends=NOW - DAY), "certificate_"),
    "through an authority that has not begun": (_intermediate(begins=NOW + DAY), "certificate_"),
    "through an authority that may not sign": (_intermediate(can_sign=False), "certificate_"),
    "through one that is no authority": (
        _intermediate(basic=x509.BasicConstraints(ca=False, path_length=None)),
        "certificate_",
    ),
    "signed by another's certificate": (_signed_by_a_leaf, "certificate_"),
    "through a path that is too long": (_through_a_short_path, "certificate_"),
    "outside the names of its authority": (_name_constrained, "certificate_"),
    "with an extension that nobody knows and that is critical": (
        lambda pki: pki.clients.issue(SIL, change=_unknown_critical),
        "certificate_",
    ),
    "with another's name put in after it was signed": (_renamed, "certificate_"),
    "with a key on a curve of 192 bits": (lambda pki: pki.clients.issue(SIL, key=ec_key(ec.SECP192R1())), ""),
    "with a key of 1024 bits": (lambda pki: pki.clients.issue(SIL, key=rsa_key(1024)), "certificate_"),
    "signed by a key that is not its issuer's": (
        lambda pki: pki.clients.issue(SIL, signer=ec_key(ec.SECP256R1())),
        "certificate_",
    ),
    "an authority's own": (lambda pki: Made(pki.clients.certificate, pki.clients.key), "certificate_"),
    "with a DSA key": (lambda pki: pki.clients.issue(SIL, key=dsa_key()), ""),
}

#: Good ones that no row admits.
STRANGERS: dict[str, Callable[[Pki], Made]] = {
    "another name": lambda pki: pki.clients.issue("dns:ris.chu.example"),
    "the name in its common name alone": lambda pki: pki.clients.issue(common="sil.chu.example"),
    "a name that begins like it": lambda pki: pki.clients.issue("dns:sil.chu.example.evil.example"),
    "a name below it": lambda pki: pki.clients.issue("dns:a.sil.chu.example"),
    "a wildcard": lambda pki: pki.clients.issue("dns:*.chu.example"),
    "the name as another kind": lambda pki: pki.clients.issue("uri:sil.chu.example", "email:sil@sil.chu.example"),
    "no name": lambda pki: pki.clients.issue(),
}


def _self_signed() -> Made:
    own = Authority("sil.chu.example")
    return Made(own.certificate, own.key)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_certificate_does_not_come_in(case: str, pki: Pki, folder: Path, log) -> None:
    make, reason = BAD[case]
    made = make(pki)

    async def scenario() -> None:
        async with opened(folder, tls=files(folder, revocations="")) as found:  # each for its own reason
            told = await ask(found, client(pki, made, folder))
            assert told.code is None
            assert found.deposits.published == []
            assert (await ask(found, client(pki, pki.client, folder))).code == "AA"
        (refused,) = log("connection.refused")
        assert str(refused["reason"]).startswith(reason)
        assert told.alert is not None, "it was not told why"

    run(scenario)


@pytest.mark.parametrize("case", STRANGERS)
def test_a_good_certificate_that_no_row_names_does_not_come_in(case: str, pki: Pki, folder: Path, log) -> None:
    made = STRANGERS[case](pki)

    async def scenario() -> None:
        async with opened(folder) as found:
            assert (await ask(found, client(pki, made, folder))).code is None
            assert found.deposits.published == []
        (refused,) = log("connection.refused")
        assert (refused["reason"], refused["certificate"]) == ("not_admitted", made.fingerprint[:12])

    run(scenario)


def test_it_is_named_by_its_fingerprint_or_any_of_its_names(pki: Pki, folder: Path) -> None:
    made = pki.clients.issue("dns:SIL.CHU.example", "uri:urn:x:SIL", "email:SIL@chu.example", "ip:10.0.0.1", "ip:2001:db8::1")
    named = ("dns:sil.chu.example", "uri:urn:x:SIL", "email:sil@chu.example", "ip:10.0.0.1", "ip:2001:db8::1")

    async def scenario() -> None:
        for spelt in (*named, f"sha256:{made.fingerprint}"):
            async with opened(folder, row(spelt)) as found:
                assert (await ask(found, client(pki, made, folder))).code == "AA", spelt
        for wrong in ("uri:urn:x:sil", f"sha256:{made.fingerprint[::-1]}", "dns:sil"):
            async with opened(folder, row(wrong)) as found:
                assert (await ask(found, client(pki, made, folder))).code is None, wrong

    run(scenario)


def test_a_certificate_helps_only_from_the_networks_of_its_row(pki: Pki, folder: Path, log) -> None:
    async def scenario() -> None:
        good = client(pki, pki.client, folder)
        async with opened(folder, row(SIL, networks=("10.0.0.0/8",))) as found:
            assert (await ask(found, good)).code is None
        async with opened(folder, row(networks=("127.0.0.0/8",))) as found:  # any certificate of our authorities
            assert (await ask(found, client(pki, pki.clients.issue("dns:x.example"), folder))).code == "AA"
        assert [line["reason"] for line in log("connection.refused")] == ["not_admitted"]

    run(scenario)


def test_the_plain_port_takes_no_row_that_wants_a_certificate(folder: Path, log) -> None:
    async def scenario() -> None:
        async with opened(folder) as found:
            reader, writer = await asyncio.open_connection("127.0.0.1", found.door.port)
            with closing(writer):
                assert await asyncio.wait_for(reader.read(), 10) == b""
        assert [line["reason"] for line in log("connection.refused")] == ["not_admitted"]

    run(scenario)


def test_a_revoked_certificate_does_not_come_in_and_an_old_list_lets_nobody_in(pki: Pki, folder: Path, log) -> None:
    async def scenario() -> None:
        good = client(pki, pki.client, folder)
        lists = {
            "certificate_revoked": pki.clients.revoke(pki.client),
            "revocations_expired": pki.clients.revoke(ends=NOW - DAY),
            "revocations_missing": Authority("Elsewhere").revoke(pki.client),
        }
        for content in lists.values():
            replace(folder / "revocations.pem", content)
            async with opened(folder) as found:
                assert (await ask(found, good)).code is None
        replace(folder / "revocations.pem", pki.clients.revoke(pki.clients.issue(SIL)))
        async with opened(folder) as found:
            assert (await ask(found, good)).code == "AA"
        assert [line["reason"] for line in log("connection.refused")] == list(lists)

    run(scenario)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_refused(version: ssl.TLSVersion, pki: Pki, folder: Path, log) -> None:
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old = client(pki, pki.client, folder, version=version)

    async def scenario() -> None:
        async with opened(folder) as found:
            assert (await ask(found, old)).alert == "TLSV1_ALERT_PROTOCOL_VERSION"
        assert [line["reason"] for line in log("connection.refused")] == ["tls_version"]

    run(scenario)


def test_weak_ciphers_and_plain_text_are_refused(pki: Pki, folder: Path, log) -> None:
    async def scenario() -> None:
        async with opened(folder) as found:
            context = client(pki, pki.client, folder, version=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers("AES128-SHA:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0")
            assert (await ask(found, context)).alert is not None
            assert found.door.tls is not None
            for text in (framed(MESSAGE), b"GET / HTTP/1.1\r\n\r\n"):
                reader, writer = await asyncio.open_connection("127.0.0.1", found.door.tls.port)
                with closing(writer):
                    writer.write(text)
                    assert b"MSA" not in await asyncio.wait_for(reader.read(), 10)
        assert [line["reason"] for line in log("connection.refused")] == ["tls_cipher", "not_tls", "not_tls"]

    run(scenario)


def test_new_files_are_for_new_connections_and_the_old_ones_go_on(pki: Pki, folder: Path, log) -> None:
    async def scenario() -> None:
        async with opened(folder) as found:
            assert found.door.tls is not None
            good, port = client(pki, pki.client, folder), found.door.tls.port
            old_reader, old = await asyncio.open_connection("127.0.0.1", port, ssl=good, server_hostname="localhost")
            first = old.get_extra_info("ssl_object").getpeercert(binary_form=True)
            other = pki.servers.issue("dns:localhost", common="new")
            other.write(folder, "server")
            replace(folder / "revocations.pem", pki.clients.revoke(pki.client))
            ours = pki.clients.issue(SIL)
            found.door.reload()
            assert (await ask(found, good)).code is None
            told = await ask(found, client(pki, ours, folder))
            assert told.code == "AA"
            assert told.shown != first
            old.write(framed(MESSAGE))
            assert b"MSA|AA" in await asyncio.wait_for(old_reader.readuntil(b"\x1c\r"), 10)
            old.close()
        assert len(log("certificates.reloaded")) == 1

    run(scenario)


def test_files_that_changed_are_noticed_by_themselves(pki: Pki, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.adapters.tls.LOOK_SECONDS", 0.02)

    async def scenario() -> None:
        async with opened(folder) as found:
            before = found.door.contexts.context
            pki.servers.issue("dns:localhost").write(folder, "server")
            await until(lambda: found.door.contexts.context is not before and found.door.contexts.problem is None)
            assert (await ask(found, client(pki, pki.client, folder))).code == "AA"

    run(scenario)


BROKEN: dict[str, Callable[[Path, Pki], None]] = {
    "a certificate without its key": lambda folder, pki: replace(folder / "server.pem", pki.servers.issue("dns:localhost").pem),
    "half a certificate": lambda folder, pki: replace(folder / "server.pem", pki.server.pem[:200]),
    "an empty file": lambda folder, _: replace(folder / "authorities.pem", b""),
    "no key": lambda folder, _: (folder / "server.key").unlink(),
    "no authorities": lambda folder, _: (folder / "authorities.pem").unlink(),
    "not PEM": lambda folder, _: replace(folder / "revocations.pem", b"nothing of the kind"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_files_that_cannot_be_used_leave_the_old_ones_in_force(case: str, pki: Pki, folder: Path, log) -> None:
    async def scenario() -> None:
        async with opened(folder) as found:
            good = client(pki, pki.client, folder)
            BROKEN[case](folder, pki)
            found.door.reload()
            assert found.door.probe().tls_problem
            assert str(folder) in str(found.door.probe().tls_problem)
            assert (await ask(found, good)).code == "AA"
            pki.write(folder)
            found.door.reload()
            assert found.door.probe().tls_problem is None
        assert len(log("certificates.refused")) == len(log("certificates.reloaded")) == 1

    run(scenario)


def test_a_machine_that_says_nothing_is_let_go_and_stops_nobody(pki: Pki, folder: Path, log) -> None:
    async def scenario() -> None:
        async with opened(folder, handshake_seconds=0.5, connection_limit=4) as found:
            assert found.door.tls is not None
            silent = [await asyncio.open_connection("127.0.0.1", found.door.tls.port) for _ in range(20)]
            assert (await ask(found, client(pki, pki.client, folder))).code == "AA"
            for reader, writer in silent:
                with suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), 10) == b""
                writer.close()
            assert found.door.probe().connections == 0
        reasons = {str(line["reason"]) for line in log("connection.refused")}
        assert reasons == {"handshakes", "handshake_timeout"}

    run(scenario)


def test_an_answer_arrives_after_the_end_of_what_was_sent(pki: Pki, folder: Path) -> None:
    """A sender that writes its message and closes its side of TLS at once."""

    async def scenario() -> None:
        async with opened(folder) as found:
            assert found.door.tls is not None
            context = client(pki, pki.client, folder)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            reader, writer = await asyncio.open_connection("127.0.0.1", found.door.tls.port)

            async def turn(step: Callable[[], Any]) -> Any:
                while True:
                    try:
                        return step()
                    except ssl.SSLWantReadError:
                        writer.write(outgoing.read())
                        incoming.write(await asyncio.wait_for(reader.read(65_536), 10))

            with closing(writer):
                await turn(tls.do_handshake)
                tls.write(framed(MESSAGE))
                with pytest.raises(ssl.SSLWantReadError):
                    tls.unwrap()
                assert b"MSA|AA" in await turn(lambda: tls.read(65_536))

    run(scenario)


def test_a_message_in_pieces_and_many_at_once_are_answered_in_order(pki: Pki, folder: Path) -> None:
    async def scenario() -> None:
        async with opened(folder) as found:
            assert found.door.tls is not None
            context = client(pki, pki.client, folder)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", found.door.tls.port, ssl=context, server_hostname="localhost"
            )
            with closing(writer):
                whole = framed(MESSAGE)
                for place in range(0, len(whole), 1000):
                    writer.write(whole[place : place + 1000])
                    await writer.drain()
                assert b"MSA|AA" in await asyncio.wait_for(reader.readuntil(b"\x1c\r"), 10)
                writer.write(whole * 5)
                for _ in range(5):
                    assert b"MSA|AA" in await asyncio.wait_for(reader.readuntil(b"\x1c\r"), 10)

    run(scenario)


def test_stopping_answers_what_was_received_and_closes_tls_in_good_order(pki: Pki, folder: Path) -> None:
    async def scenario() -> None:
        async with opened(folder) as found:
            assert found.door.tls is not None
            context = client(pki, pki.client, folder)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", found.door.tls.port, ssl=context, server_hostname="localhost"
            )
            with closing(writer):
                found.deposits.gate.clear()
                writer.write(framed(MESSAGE))
                await until(lambda: found.door.probe().working == 1)
                stopping = asyncio.ensure_future(found.door.stop(5))
                found.deposits.gate.set()
                assert b"MSA|AA" in await asyncio.wait_for(reader.read(65_536), 10)
                assert await asyncio.wait_for(reader.read(), 10) == b""
                await stopping

    run(scenario)
