"""Each door with TLS, as a scanner that we did not write sees it: nothing against Mozilla's intermediate recommendation."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.config.load import samples_directory
from gateway.demo.process import GatewayProcess
from tests.harness.pki import NOW, Pki

pytestmark = pytest.mark.door

SCANNER = Path(__file__).resolve().parents[2] / ".venv-scan"
#: Stronger than what Mozilla asks for; the standard library takes one curve or OpenSSL's own list, never a shorter one.
STRONGER = {"secp521r1", "X448"}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> dict[str, dict]:
    """What the scanner found, by door."""
    if not (SCANNER / ".done").is_file():
        pytest.skip("no TLS scanner: make test could not install requirements-scan.lock")
    folder = tmp_path_factory.mktemp("scan")
    files = pki.write(folder / "tls")
    pki.servers.issue("dns:localhost", ends=NOW + timedelta(days=90), begins=NOW - timedelta(days=1)).write(
        folder / "tls", "server"
    )
    certificate, key = pki.client.write(folder, "client")
    (folder / "ca.pem").write_bytes(pki.servers.pem)
    text = (samples_directory() / "dmp-gateway.toml").read_text(encoding="utf-8")
    lines = "\n".join(f'{name} = "tls/{path.name}"' for name, path in files.items())
    (folder / "gateway.toml").write_text(f"{text}\n[tls]\n{lines}\n", encoding="utf-8")
    listen = {f"DMP_GATEWAY_{door}_TLS_LISTEN": "127.0.0.1:0" for door in ("MLLP", "HTTP")}
    process = GatewayProcess(
        folder / "data", folder / "log", environment=listen, arguments=("--config", str(folder / "gateway.toml"))
    )
    with process:
        ports = {"mllp": process.tls_port, "http": process.http_tls_port}
        command = [
            str(SCANNER / "bin" / "python"), "-W", "ignore", "-m", "sslyze", "--cert", str(certificate), "--key", str(key),
            "--certinfo_ca_file", str(folder / "ca.pem"), "--json_out", str(folder / "found.json"),
            *(f"localhost:{port}" for port in ports.values()),
        ]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90)
    assert "COMPLIANCE AGAINST" in done.stdout, done.stdout + done.stderr
    assert "intermediate" in done.stdout
    found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    by_port = {result["server_location"]["port"]: result for result in found["server_scan_results"]}
    return {door: by_port[port] | {"mozilla": _verdict(done.stdout, port)} for door, port in ports.items()}


def _verdict(text: str, port: int) -> list[str]:
    """Return what the scanner says of a port against the recommendation."""
    lines = text[text.index("COMPLIANCE AGAINST") :].splitlines()
    at = next(number for number, line in enumerate(lines) if f"localhost:{port}:" in line)
    found = [lines[at].split(":", 2)[2].strip()]
    for line in lines[at + 1 :]:
        if not line.strip().startswith("*"):
            break
        found.append(line.strip(" *"))
    return found


@pytest.mark.parametrize("door", ["mllp", "http"])
def test_nothing_is_said_against_a_door(door: str, scanned: dict[str, dict]) -> None:
    _, *said = scanned[door]["mozilla"]
    for words in said:
        assert words.startswith("tls_curves: "), said
        assert {each.strip("'") for each in words.partition("{")[2].partition("}")[0].split(", ")} <= STRONGER
    assert len(said) <= 1


@pytest.mark.parametrize("door", ["mllp", "http"])
def test_nothing_old_is_spoken_and_no_known_attack_works(door: str, scanned: dict[str, dict]) -> None:
    found = scanned[door]["scan_result"]
    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        assert found[f"{old}_cipher_suites"]["result"]["accepted_cipher_suites"] == [], old
    for new in ("tls_1_2", "tls_1_3"):
        accepted = found[f"{new}_cipher_suites"]["result"]["accepted_cipher_suites"]
        assert accepted
        assert all(each["ephemeral_key"] for each in accepted)
    assert not found["tls_compression"]["result"]["supports_compression"]
    assert not found["heartbleed"]["result"]["is_vulnerable_to_heartbleed"]
    assert not found["openssl_ccs_injection"]["result"]["is_vulnerable_to_ccs_injection"]
    assert found["robot"]["result"]["robot_result"] == "NOT_VULNERABLE_RSA_NOT_SUPPORTED"
    assert not found["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"]
    assert found["tls_extended_master_secret"]["result"]["supports_ems_extension"]
