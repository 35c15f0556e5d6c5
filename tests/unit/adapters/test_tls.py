"""The context of a door, what is read of certificates, and files that change."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.adapters.tls import Asked, Reloading, TlsFiles, TlsUnusable, server_context, terms
from gateway.adapters.tls_stream import why
from gateway.cli.certificates import Signer
from gateway.model import x509
from gateway.telemetry import metrics
from tests.harness.pki import NOW, YEAR, Authority, Pki, replace, rsa_key


@pytest.fixture
def files(pki: Pki, tmp_path: Path) -> TlsFiles:
    made = pki.write(tmp_path)
    return TlsFiles(**{name: str(path) for name, path in made.items()})


def test_the_context_is_modern_and_trusts_our_authorities_alone(files: TlsFiles, pki: Pki) -> None:
    context = server_context(files, Asked.REQUIRED)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF
    assert context.options & ssl.OP_NO_RENEGOTIATION and context.options & ssl.OP_NO_COMPRESSION
    assert context.num_tickets == 0
    older = {row["name"] for row in context.get_ciphers() if row["protocol"] == "TLSv1.2"}
    assert older and all(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name) for name in older)
    (authority,) = context.get_ca_certs(binary_form=True)
    assert authority == ssl.PEM_cert_to_DER_cert(pki.clients.pem.decode())


def test_http_asks_for_a_certificate_and_does_not_insist(files: TlsFiles) -> None:
    assert server_context(files, Asked.OPTIONAL).verify_mode is ssl.CERT_OPTIONAL
    alone = TlsFiles(certificate=files.certificate, key=files.key)
    assert server_context(alone, Asked.OPTIONAL).verify_mode is ssl.CERT_NONE
    with pytest.raises(TlsUnusable, match=r"tls\.authorities names no authority"):
        server_context(alone, Asked.REQUIRED)


def test_a_file_that_cannot_be_used_is_named_with_the_reason(files: TlsFiles, pki: Pki, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    locked = pki.server.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    cases = [
        (files.key, locked, "the key is encrypted"),
        (files.key, pki.client.key_pem, "the key is not the certificate's"),
        (files.key, rsa_key(2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ), "the key is not the certificate's"),
        (files.certificate, b"nothing", "not PEM"),
        (files.authorities, b"nothing", "holds no certificate and no revocation list"),
        (files.revocations, b"", "holds no certificate and no revocation list"),
    ]  # fmt: skip
    for name, content, words in cases:
        before = Path(name).read_bytes()
        replace(Path(name), content)
        with pytest.raises(TlsUnusable, match=words) as caught:
            server_context(files, Asked.REQUIRED)
        assert name in str(caught.value)
        replace(Path(name), before)
    (tmp_path / "server.key").unlink()
    with pytest.raises(TlsUnusable, match="No such file"):
        server_context(files, Asked.REQUIRED)


def test_what_a_test_authority_made_is_refused_in_production(tmp_path: Path, pki: Pki) -> None:
    signer = Signer(datetime.now(UTC))
    certificate, key = signer.issue("gateway", ["dns:localhost"], server=True)
    for name, content in (
        ("server.pem", certificate),
        ("server.key", key),
        ("test.pem", signer.pem),
        ("our.pem", pki.clients.pem),
    ):
        replace(tmp_path / name, content)
    pki.server.write(tmp_path, "other")
    for server, authority in (("server", "test"), ("server", "our"), ("other", "test")):
        files = TlsFiles(
            certificate=str(tmp_path / f"{server}.pem"),
            key=str(tmp_path / f"{server}.key"),
            authorities=str(tmp_path / f"{authority}.pem"),
        )
        server_context(files, Asked.REQUIRED)
        with pytest.raises(TlsUnusable, match="of a test authority"):
            server_context(TlsFiles(**{f: getattr(files, f) for f in ("certificate", "key", "authorities")}, production=True),
                           Asked.REQUIRED)  # fmt: skip


def test_the_end_of_each_file_is_told_and_shown(files: TlsFiles, pki: Pki) -> None:
    early = pki.servers.issue("dns:localhost", ends=NOW + timedelta(days=3))
    replace(Path(files.certificate), early.pem)
    replace(Path(files.key), early.key_pem, mode=0o600)
    replace(Path(files.revocations), pki.clients.revoke(ends=NOW + timedelta(days=2)))
    found = {term.use: term.ends for term in terms(files)}
    assert found == {
        "server": NOW + timedelta(days=3), "authorities": NOW + YEAR, "revocations": NOW + timedelta(days=2)
    }  # fmt: skip
    Reloading("mllp", files, Asked.REQUIRED)
    shown = metrics.snapshot()
    assert shown['dmpgw_certificate_expiry_timestamp_seconds{use="server"}'] == (NOW + timedelta(days=3)).timestamp()


def test_certificates_of_other_centuries_are_read(pki: Pki) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    ends = datetime(2061, 3, 1, 12, 0, 1, tzinfo=UTC)
    made = pki.clients.issue(begins=datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), ends=ends)
    found = x509.certificate(made.certificate.public_bytes(Encoding.DER))
    assert (found.begins, found.ends) == (datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), ends)
    assert not found.is_of_tests
    assert Authority(x509.TEST_AUTHORITY).certificate is not None
    (entry,) = x509.read_all(Authority(x509.TEST_AUTHORITY).pem)
    assert entry[0] and entry[1].is_of_tests


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_certificate_that_is_cut_off_is_none(cut: int, pki: Pki) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    der = pki.client.certificate.public_bytes(Encoding.DER)
    for reader in (x509.certificate, x509.revocations):
        with pytest.raises(ValueError, match=r".*"):
            reader(der[:cut])


def test_nothing_changed_is_nothing_loaded(files: TlsFiles) -> None:
    found = Reloading("mllp", files, Asked.REQUIRED)
    before = found.context
    found.look()
    assert found.context is before
    found.look(always=True)
    assert found.context is not before


def test_a_pair_that_is_half_replaced_is_no_alarm_yet(files: TlsFiles, pki: Pki) -> None:
    found, new = Reloading("mllp", files, Asked.REQUIRED), pki.servers.issue("dns:localhost")
    replace(Path(files.certificate), new.pem)
    found.look()
    assert found.problem and found._told is None
    replace(Path(files.key), new.key_pem, mode=0o600)
    found.look()
    assert found.problem is None
    replace(Path(files.certificate), pki.server.pem)
    found.look()
    found.look()  # still so two seconds later
    assert found.problem and found._told is not None


def test_a_reason_that_nobody_foresaw_is_still_one() -> None:
    assert why(ssl.SSLError(1, "what")) == "handshake_failed"
