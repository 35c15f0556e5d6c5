"""`dmp-gateway test-authority`: certificates to try TLS with, none of which production takes."""

import hashlib
import os
import ssl
from pathlib import Path

import click

from gateway.cli import console
from gateway.wiring.clock import SystemClock

#: What a gateway on this machine is called.
_SERVER_NAMES = ("dns:localhost", "ip:127.0.0.1", "ip:::1")


@click.command("test-authority", short_help="Make certificates to try TLS with.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="A further name of the gateway that senders connect to (dns:gateway.chu.example, ip:192.0.2.7); can be given several "
    "times.",
)
@click.option(
    "--client",
    "clients",
    multiple=True,
    metavar="NAME",
    help="Make a client certificate with this subjectAltName (dns:, uri:, email:, ip:); can be given several times. Without it, "
    "dns:sender.example.",
)
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How long they are good.")
def test_authority(*, folder: Path, names: tuple[str, ...], clients: tuple[str, ...], days: int) -> None:
    """
    Make a test authority, a certificate for the gateway and one for each sender, in a new folder DIR.

    The authority's own key is not kept: nothing more can be made with it. What it makes is for trying out: a configuration for
    production refuses it, since nobody knows who has the folder.

    \b
    Example:
      dmp-gateway test-authority tls --client dns:sil.chu.example
      dmp-gateway send --example oru --to localhost:2576 --tls --ca tls/authority.pem \\
          --cert tls/sil.chu.example.pem --key tls/sil.chu.example.key
    """  # noqa: D301 - click reads this mark
    from gateway.cli.certificates import Signer

    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        console.usage(f"{folder} is there already.", "Name a new folder: nothing is ever overwritten.")
    signer = Signer(SystemClock().now(), days)
    try:
        server = signer.issue("dmp-gateway", dict.fromkeys((*_SERVER_NAMES, *names)), server=True)
        made = {client: signer.issue(client, [client], server=False) for client in clients or ("dns:sender.example",)}
    except ValueError as failure:
        folder.rmdir()
        console.usage(f"Not a name: {failure}.", "Write dns:gateway.chu.example or ip:192.0.2.7")
    (folder / "authority.pem").write_bytes(signer.pem)
    _write(folder, "server", *server)
    rows = []
    for client, (certificate, key) in made.items():
        stem = _stem(client)
        _write(folder, stem, certificate, key)
        der = ssl.PEM_cert_to_DER_cert(certificate.decode("ascii"))
        rows.append((client, f"{stem}.pem", hashlib.sha256(der).hexdigest()))
    console.out.print(f"Made {folder}: authority.pem, server.pem, and of each client:")
    console.table(("certificates = [", "file", "or sha256:"), rows)
    console.out.print("\nThe configuration of the gateway:", markup=False)
    for line in (
        "[mllp]",
        'tls_listen = "127.0.0.1:2576"',
        "[tls]",
        f'certificate = "{(folder / "server.pem").resolve()}"',
        f'key = "{(folder / "server.key").resolve()}"',
        f'authorities = "{(folder / "authority.pem").resolve()}"',
    ):
        console.out.print(f"  {line}", markup=False, soft_wrap=True)


def _write(folder: Path, stem: str, certificate: bytes, key: bytes) -> None:
    (folder / f"{stem}.pem").write_bytes(certificate)
    descriptor = os.open(folder / f"{stem}.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)


def _stem(name: str) -> str:
    """Return a file name of a subjectAltName."""
    value = name.partition(":")[2] or name
    return "".join(character if character.isalnum() or character in ".-" else "_" for character in value).strip(".") or "client"
