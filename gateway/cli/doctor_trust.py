"""What `doctor` says of TLS and trust: files, what listens without TLS, sources that nobody can be."""

import hashlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.adapters.tls import Asked, TlsUnusable, server_context, terms
from gateway.cli.findings import Finding
from gateway.config.settings import OFF, Settings
from gateway.config.transport import has_tls
from gateway.model.ports import Clock
from gateway.wiring.trust import ending, exposures, tls_files

_CONNECT_SECONDS: Final = 2.0
_PAGE: Final = "docs/trust.md"


def transport(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """
    Tell how the doors listen and whether the files of `[tls]` can be used.

    Args:
        settings: The configuration.
        clock: The time.
    """
    for exposure in exposures(settings):
        yield Finding(
            subject="doors",
            state="note",
            text=exposure,
            advice=f"whoever is on the way reads and changes everything: give these senders certificates, {_PAGE}",
        )
    if not has_tls(settings, "mllp") and not has_tls(settings, "http"):
        if not list(exposures(settings)):
            yield Finding(
                subject="doors",
                state="note",
                text="plain text: loopback only",
                advice=f"senders on other machines need TLS, {_PAGE}",
            )
        return
    yield from _files(settings, clock)
    if not settings.tls.revocations:
        yield Finding(
            subject="tls",
            state="note",
            text="no revocation list: a stolen client certificate is taken until it ends",
            advice="name the authorities' lists in tls.revocations",
        )


def served(door: str, host: str, port: int, certificate: str) -> Finding:
    """
    Begin TLS with a running door, as a sender would.

    Args:
        door: Its name.
        host: Where it listens.
        port: Where it listens.
        certificate: The file that it should show.
    """
    subject, where = f"door {door}", f"{host}:{port} (TLS)"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what it shows is compared with the file
    try:
        with (
            socket.create_connection((host, port), timeout=_CONNECT_SECONDS) as link,
            context.wrap_socket(link, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert(binary_form=True) or b""
    except ssl.SSLError as failure:
        # Up to TLS 1.2 a client without a certificate is turned away inside the handshake; we speak 1.3.
        return Finding(subject=subject, state="problem", text=f"{where}: {failure.reason}", advice="its log tells why")
    except OSError as failure:
        text = f"{where}: {failure.strerror or type(failure).__name__}"
        return Finding(subject=subject, state="problem", text=text, advice="the log tells why it does not take connections")
    try:
        of_file = ssl.PEM_cert_to_DER_cert(_first(Path(certificate).read_text(encoding="ascii")))
    except (OSError, ValueError):
        return Finding(subject=subject, state="ok", text=f"{where} takes connections")  # the file is spoken of elsewhere
    if hashlib.sha256(shown).digest() != hashlib.sha256(of_file).digest():
        return Finding(
            subject=subject,
            state="problem",
            text=f"{where} shows another certificate than {certificate}",
            advice="the new files cannot be used (its /readyz says why), or another configuration runs",
        )
    return Finding(subject=subject, state="ok", text=f"{where} takes connections and shows the certificate of the file")


def _files(settings: Settings, clock: Clock) -> Iterator[Finding]:
    files = tls_files(settings)
    try:
        server_context(files, Asked.REQUIRED if settings.mllp.tls_listen != OFF else Asked.OPTIONAL)
        found = terms(files)
    except TlsUnusable as failure:
        yield Finding(subject="tls", state="problem", text=str(failure), advice=f"{_PAGE} shows how the files are made")
        return
    now = clock.now()
    late = {term.use for term in found if not term.begins <= now < term.ends}
    said = list(ending(found, clock))
    for text in said:
        yield Finding(subject="tls", state="problem" if late else "note", text=text)
    if not said:
        first = min(term.ends for term in found)
        yield Finding(subject="tls", state="ok", text=f"certificates and lists are good until {first:%Y-%m-%d} at least")


def _first(pem: str) -> str:
    """Return the first certificate of a file."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return begin + pem.partition(begin)[2].partition(end)[0] + end
