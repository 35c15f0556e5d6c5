"""`sources` and `test-authority`: who comes in by what, why not, tokens that are shown once."""

import json
import re
import ssl
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from gateway.adapters.tls import Asked, TlsFiles, server_context
from gateway.adapters.trust import token_hash
from gateway.cli.main import main
from gateway.config.load import samples_directory
from tests.harness.pki import NOW, YEAR, Authority, Pki, ec_key, name, replace


@pytest.fixture
def config(tmp_path: Path, pki: Pki) -> Path:
    pki.write(tmp_path / "tls")
    text = (samples_directory() / "dmp-gateway.toml").read_text(encoding="utf-8")
    text = text.replace("[mllp]\n", '[mllp]\ntls_listen = "127.0.0.1:0"\n', 1) + (
        '[[connections]]\ndoor = "mllp"\nsources = ["ris-old-valmont"]\ncertificates = ["dns:sil.chu.example"]\n'
        '[tls]\ncertificate = "tls/server.pem"\nkey = "tls/server.key"\nauthorities = "tls/authorities.pem"\n'
        'revocations = "tls/revocations.pem"\n'
    )
    text = text.replace('id = "sil-valmont"', f'id = "sil-valmont"\ntokens = ["{token_hash("dmpgw_x")}"]', 1)
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def run(*arguments: object, feed: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], input=feed)


def check(config: Path, *arguments: object, feed: str | None = None) -> dict[str, object]:
    result = run("sources", "check", "--config", config, "--json", *arguments, feed=feed)
    found = json.loads(result.stdout)
    assert result.exit_code == (0 if found["is_admitted"] else 1)
    return found


def test_each_source_is_listed_with_what_admits_it(config: Path) -> None:
    result = run("sources", "list", "--config", config, "--json")
    lines = {line["id"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert lines["sil-valmont"]["tokens"] == 1
    mllp = [way for way in lines["sil-valmont"]["ways"] if way["door"] == "mllp"]
    assert [way["transports"] for way in mllp] == [["tls", "plain"]]
    (old,) = lines["ris-old-valmont"]["ways"]
    assert (old["certificates"], old["transports"]) == (["dns:sil.chu.example"], ["tls"])
    assert "dmpgw_x" not in result.stdout
    shown = run("sources", "list", "--config", config).stdout
    assert "with dns:sil.chu.example (tls)" in shown
    assert "http: 1 token" in shown
    assert token_hash("dmpgw_x") not in shown


def test_a_source_that_nothing_admits_says_so() -> None:
    assert "nothing: all that it sends is refused" in run("sources", "list").stdout


def test_an_address_and_its_names_are_tried(config: Path) -> None:
    names = ("--msh3", "SIL-V", "--msh4", "CHU-VALMONT")
    assert check(config, *names)["source"] == "sil-valmont"
    assert check(config, "--msh3", "RIS-OLD", "--msh4", "CHU-VALMONT")["because"][-1] == (  # type: ignore[index]
        "MSH-3 and MSH-4 name ris-old-valmont, which this connection may not speak for: answered AR"
    )
    assert "name no source" in str(check(config, "--msh3", "X")["because"])
    (why,) = check(config, "--address", "10.0.0.1")["because"]  # type: ignore[misc]
    assert "without TLS" in why
    assert run("sources", "check", "--address", "here").exit_code == 2


def test_a_certificate_is_tried(config: Path, pki: Pki, tmp_path: Path) -> None:
    def tried(pem: bytes) -> dict[str, object]:
        replace(tmp_path / "client.pem", pem)
        return check(config, "--address", "192.0.2.7", "--certificate", tmp_path / "client.pem")

    assert tried(pki.client.pem)["sources"] == ["ris-old-valmont"]
    assert tried(pki.client.pem)["is_admitted"]
    between = Authority("Between", parent=pki.clients)
    replace(tmp_path / "tls" / "revocations.pem", pki.clients.revoke() + between.revoke())
    assert tried(between.issue("dns:sil.chu.example").pem)["is_admitted"]
    for pem, words in (
        (pki.clients.issue("dns:ris.chu.example").pem, "the certificate is none of those that it names"),
        (Authority("Clients").issue("dns:sil.chu.example").pem, "no authority of tls.authorities issued"),
        (pki.clients.issue("dns:sil.chu.example", ends=NOW - YEAR / 2).pem, "is good from"),
        (b"nothing", "holds no certificate"),
    ):
        found = tried(pem)
        assert not found["is_admitted"] and words in str(found["because"]), words
    replace(tmp_path / "tls" / "revocations.pem", pki.clients.revoke(pki.client))
    assert "is revoked" in str(tried(pki.client.pem)["because"])
    replace(tmp_path / "tls" / "revocations.pem", Authority("Elsewhere").revoke())
    assert "holds no list of the authority" in str(tried(pki.client.pem)["because"])
    plain = run("sources", "check", "--config", config, "--certificate", tmp_path / "none.pem")
    assert plain.exit_code == 1 and "not admitted" in plain.stdout


def test_a_token_beside_the_certificate_of_another_source_is_refused(config: Path, pki: Pki, tmp_path: Path) -> None:
    text = config.read_text(encoding="utf-8")
    row = '[[connections]]\ndoor = "http"\nsources = ["ris-old-valmont"]\ncertificates = ["dns:sil.chu.example"]\n'
    config.write_text(text + f'{row}[http]\ntls_listen = "127.0.0.1:0"\n', encoding="utf-8")
    replace(tmp_path / "client.pem", pki.client.pem)
    here = ("--door", "http", "--address", "192.0.2.7", "--certificate", tmp_path / "client.pem")
    assert check(config, *here)["sources"] == ["ris-old-valmont"]
    found = check(config, *here, "--token", "-", feed="dmpgw_x\n")
    assert (found["is_admitted"], found["sources"]) == (False, [])
    assert "the certificate is that of ris-old-valmont" in str(found["because"])


def test_what_a_door_refuses_of_a_home_made_authority_is_said(config: Path, pki: Pki, tmp_path: Path) -> None:
    home, sound, key = Authority("Home", can_sign=False), Authority("Sound"), ec_key()
    bare = (
        x509.CertificateBuilder()
        .subject_name(name("sender"))
        .issuer_name(sound.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - YEAR)
        .not_valid_after(NOW + YEAR)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("sil.chu.example")]), critical=False)
    )
    for authority, made, words in (
        (home, home.issue("dns:sil.chu.example"), "its authority (CN=Home) has no keyUsage with keyCertSign: TLS refuses it"),
        (sound, sound.issue(key=key, change=lambda _: bare), "client.pem: it has no authorityKeyIdentifier: TLS refuses it"),
        (sound, sound.issue("dns:sil.chu.example"), ""),
    ):
        replace(tmp_path / "tls" / "authorities.pem", authority.pem)
        replace(tmp_path / "tls" / "revocations.pem", authority.revoke())
        shown, own = made.write(tmp_path, "client")
        found = check(config, "--address", "192.0.2.7", "--certificate", shown)
        assert found["is_admitted"] is not bool(words)
        assert words in str(found["because"])
        # The door's own library is of the same opinion.
        assert is_taken(tmp_path / "tls", pki, shown, own) is not bool(words)


def is_taken(folder: Path, pki: Pki, certificate: Path, key: Path) -> bool:
    """Shake hands in memory with what a door of this folder listens by."""
    files = {use: str(folder / f"{use}.pem") for use in ("authorities", "revocations")}
    door = server_context(
        TlsFiles(certificate=str(folder / "server.pem"), key=str(folder / "server.key"), **files), Asked.REQUIRED
    )
    sender = ssl.create_default_context(cadata=pki.servers.pem.decode("ascii"))
    sender.load_cert_chain(certificate, key)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        sender.wrap_bio(back, there, server_hostname="localhost"),
        door.wrap_bio(there, back, server_side=True),
    )
    done = [False, False]
    while not all(done):
        for index, end in enumerate(ends):
            try:
                end.do_handshake()
                done[index] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return True


def test_a_token_is_tried_from_standard_input_only(config: Path) -> None:
    assert check(config, "--door", "http", "--token", "-", feed="dmpgw_x\n")["sources"] == ["sil-valmont"]
    assert check(config, "--door", "http", "--token", "-", feed="dmpgw_y\n")["because"] == ["the token is no source's"]
    for wrong in (("--door", "http", "--token", "dmpgw_x"), ("--token", "-")):
        assert run("sources", "check", "--config", config, *wrong, feed="dmpgw_x\n").exit_code == 2


def test_without_a_row_for_the_door_only_tokens_lead_in(config: Path) -> None:
    config.write_text(config.read_text(encoding="utf-8").replace('door = "http"', 'door = "mllp"'), encoding="utf-8")
    assert check(config, "--door", "http")["because"] == [
        'no [[connections]] row has door = "http"',
        "with its token it would be, for one of: sil-valmont (--token -)",
    ]


def test_a_new_token_is_random_shown_once_and_kept_as_its_hash(config: Path) -> None:
    made = [run("sources", "token", "sil-valmont", "--config", config) for _ in range(20)]
    tokens = {result.stdout.strip() for result in made}
    assert len(tokens) == 20
    for result in made:
        (token,) = result.stdout.splitlines()
        assert re.fullmatch(r"dmpgw_[A-Za-z0-9_-]{43}", token)
        assert f'tokens = ["{token_hash(token)}"]' in result.stderr
        assert token not in result.stderr
    assert run("sources", "token", "nobody", "--config", config).exit_code == 2


def test_a_test_authority_is_made_once_and_its_key_is_not_kept(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    result = run("test-authority", folder, "--client", "dns:a.example", "--client", "uri:urn:x:b", "--name", "ip:192.0.2.1")
    assert result.exit_code == 0, result.output
    names = {path.name for path in folder.iterdir()}
    assert names == {"authority.pem", "server.pem", "server.key", "a.example.pem", "a.example.key", "urn_x_b.pem", "urn_x_b.key"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.glob("*.key"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "tls_listen" in result.stdout
    again = run("test-authority", folder)
    assert again.exit_code == 2 and "is there already" in again.output
    wrong = run("test-authority", tmp_path / "other", "--client", "nonsense")
    assert wrong.exit_code == 2 and not (tmp_path / "other").exists()
