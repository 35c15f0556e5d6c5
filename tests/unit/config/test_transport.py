"""What a configuration says of TLS, certificates and tokens: each fault by name, none with a value."""

import hashlib
from pathlib import Path

import pytest

from gateway.config.faults import ConfigurationInvalid
from gateway.config.load import load
from gateway.wiring import trust
from tests.harness.pki import Pki, replace
from tests.unit.config.test_load import BASE, MARK

TOKEN = "sha256:" + hashlib.sha256(b"token").hexdigest()
ROW = 'networks = ["127.0.0.0/8", "::1/128"]'
TLS = """
[tls]
certificate = "tls/server.pem"
key = "tls/server.key"
authorities = "tls/authorities.pem"
"""
ON = BASE.replace("port = 2600", 'tls_listen = "0.0.0.0:2576"') + TLS


@pytest.fixture
def faults(tmp_path: Path, pki: Pki):
    pki.write(tmp_path / "tls")

    def told(text: str, before=lambda folder: None) -> list[str]:
        before(tmp_path / "tls")
        path = tmp_path / "gateway.toml"
        path.write_text(text, encoding="utf-8")
        try:
            loaded = load(path, {}, {})
            trust.check(loaded.settings)
        except ConfigurationInvalid as invalid:
            found = [f"{fault.name}: {fault.text}" for fault in invalid.faults]
        else:
            paths = (getattr(loaded.settings.tls, name) for name in ("certificate", "key", "authorities"))
            assert all(Path(path).is_file() for path in paths if path)
            found = []
        assert MARK not in "".join(found)
        return found

    return told


GOOD = {
    "certificates without networks": ON.replace(
        ROW, 'certificates = ["dns:sil.example", "ip:2001:db8::1", "uri:urn:X", "email:a@b.example"]'
    ),
    "by fingerprint": ON.replace(ROW, f'certificates = ["{TOKEN}"]'),
    "any network, with TLS": ON.replace(ROW, 'networks = ["10.0.0.0/8"]'),
    "plain text for some": BASE.replace("port = 2600", 'host = "0.0.0.0"').replace(ROW, 'networks = ["10.1.0.0/16"]')
    + '[tls]\nplaintext_networks = ["10.0.0.0/8", "fd00::/8"]\n',
    "IPv6": ON.replace("0.0.0.0:2576", "[::]:0"),
    "HTTP by tokens alone": BASE
    + '[http]\ntls_listen = "0.0.0.0:8443"\n'
    + TLS.replace('authorities = "tls/authorities.pem"\n', ""),
    "two rows of two certificates may bring the same name": ON.replace(ROW, 'certificates = ["dns:a.example"]')
    + '[[sources]]\nid = "sil2"\nestablishment = "clinic"\napplication = "SIL"\nfacility = "CHU"\n'
    + '[[connections]]\ndoor = "mllp"\ncertificates = ["dns:b.example"]\nsources = ["sil2"]\n',
    "a charset that is forced": BASE.replace('charset = "8859/15"', 'charset = "8859/15"\ncharset_forced = true'),
    "tokens and types": BASE.replace(
        'charset = "8859/15"', f'tokens = ["{TOKEN}"]\ndocument_types = ["11488-4"]\noid = "1.2.250.1.999.1"'
    ),
}

BAD = {
    "row without anything": (BASE.replace(ROW, ""), "connections[0]: sources must not be empty, nor networks where no"),
    "certificates without TLS": (
        BASE.replace(ROW, ROW + '\ncertificates = ["dns:a.example"]'),
        "connections[0].certificates: mllp.tls_listen is off: nobody could show a certificate",
    ),
    "no files": (
        BASE.replace("port = 2600", 'tls_listen = "0.0.0.0:2576"'),
        "tls.certificate: missing: mllp.tls_listen needs it",
    ),
    "no authorities for MLLP": (
        ON.replace('authorities = "tls/authorities.pem"\n', ""),
        "tls.authorities: missing: mllp.tls_listen",
    ),
    "certificates for HTTP without authorities": (
        BASE.replace('door = "mllp"\n' + ROW, 'door = "http"\ncertificates = ["dns:a.example"]')
        + '[http]\ntls_listen = "0.0.0.0:8443"\n'
        + TLS.replace('authorities = "tls/authorities.pem"\n', ""),
        "connections[0].certificates: tls.authorities is empty",
    ),
    "a name to listen on": (
        ON.replace("0.0.0.0:2576", f"{MARK}:2576"),
        "mllp.tls_listen: off, or an address, a colon and a port",
    ),
    "no port": (ON.replace("0.0.0.0:2576", "0.0.0.0"), "mllp.tls_listen: off, or an address, a colon and a port"),
    "no file of that name": (ON.replace("server.pem", "other.pem"), "tls.certificate: the file cannot be read: No such file"),
    "a list where a certificate should be": (
        ON.replace("server.pem", "revocations.pem"),
        "tls.certificate: holds no certificate",
    ),
    "a certificate where a list should be": (
        ON + 'revocations = "tls/server.pem"\n',
        "tls.revocations: holds no revocation list",
    ),
    "a list of nobody": (BASE + '[tls]\nrevocations = "tls/revocations.pem"\n', "tls.revocations: of which authority?"),
    "wide open": (BASE.replace("port = 2600", 'host = "0.0.0.0"'), "mllp.host: without TLS only an address of the loopback"),
    "more than plain text was allowed for": (
        BASE.replace("port = 2600", 'host = "0.0.0.0"').replace(ROW, 'networks = ["10.0.0.0/8"]')
        + '[tls]\nplaintext_networks = ["10.1.0.0/16"]\n',
        "connections[0].networks[0]: without TLS only networks of the loopback interface and of tls.plaintext_networks",
    ),
    "plain text for no network": (BASE + f'[tls]\nplaintext_networks = ["{MARK}"]\n', "tls.plaintext_networks[0]: not a network"),
    **{
        f"certificate {text!r}": (
            ON.replace(ROW, f"certificates = ['{text}']"),
            "connections[0].certificates[0]: sha256: and 64 hexadecimal digits in lower case, or a subjectAltName",
        )
        for text in (
            "",
            "sil.example",
            "dns:",
            "dns:SIL.example",
            "dns:a b",
            "cn:sil",
            "sha256:abcd",
            TOKEN.upper(),
            "ip:10.0.0",
            "ip:2001:DB8::1",
            "email:A@b.example",
            "uri:",
        )
    },
    "a token in clear": (
        BASE.replace('charset = "8859/15"', f'tokens = ["{MARK}"]'),
        "sources[1].tokens[0]: sha256: and 64 hexadecimal digits in lower case: the hash of a token, never the token",
    ),
    "a token of two": (
        BASE.replace('charset = "8859/15"', f'tokens = ["{TOKEN}"]').replace(
            'id = "gam"', f'id = "gam"\ntokens = ["{TOKEN}"]', 1
        ),
        "sources[1].tokens[0]: sources[0] has the same token",
    ),
    "forced to nothing": (
        BASE.replace('charset = "8859/15"', "charset_forced = true"),
        "sources[1].charset_forced: forced to what?",
    ),
    "no OID": (BASE.replace('charset = "8859/15"', f'oid = "{MARK}"'), "sources[1].oid: not an OID"),
    "no document type": (
        BASE.replace('charset = "8859/15"', f'document_types = ["11488-4", "{MARK}"]'),
        "sources[1].document_types[1]: no type of documents that the record takes",
    ),
    "one name by a certificate and by its network": (
        ON.replace(ROW, 'certificates = ["dns:a.example"]')
        + '[[sources]]\nid = "sil2"\nestablishment = "clinic"\napplication = "SIL"\nfacility = "CHU"\n'
        + '[[connections]]\ndoor = "mllp"\nnetworks = ["10.0.0.0/8"]\nsources = ["sil2"]\n',
        "connections[1].sources: this connection together with connections[0]",
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_makes_sense_is_taken(case: str, faults) -> None:
    assert faults(GOOD[case]) == []


@pytest.mark.parametrize("case", BAD)
def test_what_makes_none_is_told(case: str, faults) -> None:
    text, words = BAD[case]
    assert any(fault.startswith(words) for fault in faults(text)), faults(text)


def test_a_key_that_others_can_read_is_refused(faults) -> None:
    words = "tls.key: others on this machine can read it: chmod o-rw"
    assert faults(ON, lambda folder: (folder / "server.key").chmod(0o644)) == [words]
    assert faults(ON, lambda folder: (folder / "server.key").chmod(0o640)) == []


def test_production_takes_nothing_of_a_test_authority(faults, pki: Pki) -> None:
    from gateway.cli.certificates import Signer
    from gateway.wiring.clock import SystemClock

    signer = Signer(SystemClock().now())
    certificate, key = signer.issue("gateway", ["dns:localhost"], server=True)

    def make(folder: Path) -> None:
        replace(folder / "server.pem", certificate)
        replace(folder / "server.key", key, mode=0o600)
        replace(folder / "authorities.pem", signer.pem)

    assert faults(ON, make) == []
    refused = "of a test authority, whose keys anybody may have: not in production"
    production = ON.replace('environment = "test"', 'environment = "production"')
    assert faults(production) == [f"tls.certificate: {refused}", f"tls.authorities: {refused}"]
