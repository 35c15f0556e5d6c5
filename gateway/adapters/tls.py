"""TLS of the doors: whom it speaks with, by which certificates, and new ones without a lost connection (D-17)."""

import asyncio
import contextlib
import enum
import hashlib
import ipaddress
import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.model import x509
from gateway.model.base import Model
from gateway.model.source import Certificate
from gateway.telemetry import events as told
from gateway.telemetry import metrics

#: How often the files are looked at.
LOOK_SECONDS: Final = 2.0

#: TLS 1.2: ephemeral keys and authenticated encryption alone; TLS 1.3 has nothing else. The level: no key or signature of less
#: than 112 bits, whatever the distribution decides.
CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:@SECLEVEL=2"
)


class TlsUnusable(Exception):
    """The files of `[tls]` cannot be used: which, and why; without a path's content."""


class TlsFiles(Model, frozen=True, kw_only=True):
    """The files of `[tls]`, PEM."""

    #: Our certificate, then those of the authorities between it and the root.
    certificate: str
    key: str
    #: Authorities whose client certificates are taken; empty: none is.
    authorities: str = ""
    #: Revocation lists of those authorities; empty: none is looked at.
    revocations: str = ""
    #: Nothing that a test authority made is taken.
    production: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that is named."""
        return tuple(Path(name) for name in (self.certificate, self.key, self.authorities, self.revocations) if name)


class Asked(enum.Enum):
    """Whether a client must show a certificate."""

    #: It must: nothing else tells who it is (MLLP).
    REQUIRED = ssl.CERT_REQUIRED
    #: It may; one that it shows must be good (HTTP, where a token may tell).
    OPTIONAL = ssl.CERT_OPTIONAL


class Term(Model, frozen=True, kw_only=True):
    """Until when one of the files is good."""

    #: `server`, `authorities` or `revocations`.
    use: str
    begins: datetime
    ends: datetime


def server_context(files: TlsFiles, asked: Asked) -> ssl.SSLContext:
    """
    Return the context of a door.

    TLS 1.2 or 1.3; no compression, renegotiation or session tickets: each connection is judged anew, by the certificate that it
    shows. Client certificates of our own list of authorities alone, never of the machine's.

    Args:
        files: Certificate, key, authorities.
        asked: Whether a client must show a certificate.

    Raises:
        TlsUnusable: a file is missing, is not what it should be, or does not fit the others.

    Source: RFC 9325; robustness § 7.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    # The same on every Python: 3.13 sets both where a default context is made.
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    with _read(files.certificate, files.key):
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    if files.authorities:
        with _read(files.authorities):
            context.load_verify_locations(files.authorities)
        context.verify_mode = asked.value
        if files.revocations:
            with _read(files.revocations):
                context.load_verify_locations(files.revocations)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    elif asked is Asked.REQUIRED:
        raise TlsUnusable("tls.authorities names no authority: no client certificate could be taken")
    terms(files)
    return context


def terms(files: TlsFiles) -> tuple[Term, ...]:
    """
    Return until when our certificates, those of the authorities and the revocation lists are good.

    Raises:
        TlsUnusable: a file cannot be read, or is of a test authority in production.
    """
    found: list[Term] = []
    for use, name in (("server", files.certificate), ("authorities", files.authorities), ("revocations", files.revocations)):
        if not name:
            continue
        with _read(name):
            for _, facts in x509.read_all(Path(name).read_bytes()):
                if files.production and facts.is_of_tests:
                    raise TlsUnusable(f"{name}: of a test authority, whose keys anybody may have: not in production")
                if facts.ends is not None:
                    found.append(Term(use=use, begins=facts.begins, ends=facts.ends))
    return tuple(found)


def certificate_of(secured: ssl.SSLObject | ssl.SSLSocket) -> Certificate | None:
    """
    Return what sources are admitted by, of the certificate that the other end showed and TLS verified; None: it showed none.

    Args:
        secured: After the handshake.

    Returns:
        Its fingerprint and its subjectAltNames, as `Connection.certificates` spells them. The common name is no identity
        (RFC 6125).
    """
    der = secured.getpeercert(binary_form=True)
    if der is None:
        return None
    shown = secured.getpeercert() or {}
    names = shown.get("subjectAltName", ())
    spelt = (_spelt(str(kind), str(value)) for kind, value in names) if isinstance(names, tuple) else ()
    return Certificate(fingerprint=hashlib.sha256(der).hexdigest(), names=tuple(dict.fromkeys(name for name in spelt if name)))


class Reloading:
    """
    The context for new handshakes; a new set of files takes its place, a set that cannot be used does not.

    Args:
        door: Whose it is.
        files: As of the class.
        asked: Whether a client must show a certificate.

    Raises:
        TlsUnusable: at the start there is nothing to go on with.
    """

    def __init__(self, door: str, files: TlsFiles, asked: Asked) -> None:
        """Load the files."""
        self._door = door
        self._files = files
        self._asked = asked
        self._seen = self._signature()
        self._told: object = None
        #: For the next handshake.
        self.context = server_context(files, asked)
        #: Why the files that are there now are not used; None: they are.
        self.problem: str | None = None
        self.terms: tuple[Term, ...] = ()
        self._show()

    def look(self, *, always: bool = False) -> None:
        """
        Load the files again if they changed.

        Args:
            always: Also where they look the same (SIGHUP).
        """
        now = self._signature()
        if now == self._seen and not always:
            self._tell(now)
            return
        self._seen = now
        try:
            context = server_context(self._files, self._asked)
        except TlsUnusable as failure:
            # Certificate and key are two files: between the replacement of one and of the other nothing is wrong yet.
            self.problem = str(failure)
            self._told = None
            if always:
                self._tell(now)
            return
        self.context = context
        self.problem = None
        self._show()
        told.CertificatesReloaded(door=self._door).emit()

    async def watch(self) -> None:
        """Look every two seconds, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def _tell(self, now: object) -> None:
        """Say once of each set of files that it cannot be used."""
        if self.problem is not None and self._told != now:
            self._told = now
            told.CertificatesRefused(door=self._door, reason="unusable").emit()

    def _show(self) -> None:
        try:
            self.terms = terms(self._files)
        except TlsUnusable:  # replaced between the two readings: the next look reads it
            return
        for use in {term.use for term in self.terms}:
            first = min(term.ends for term in self.terms if term.use == use)
            metrics.CERTIFICATE_EXPIRY.labels(use).set(first.timestamp())

    def _signature(self) -> tuple[object, ...]:
        return tuple(_stat(path) for path in self._files.paths)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@contextlib.contextmanager
def _read(*names: str) -> Iterator[None]:
    """Tell in words why a file cannot be used."""
    shown = " with ".join(names)
    try:
        yield
    except ssl.SSLError as error:
        raise TlsUnusable(f"{shown}: {_SAID.get(error.reason or '', 'not PEM, or not what it should be')}") from None
    except OSError as error:
        raise TlsUnusable(f"{shown}: {error.strerror or 'cannot be read'}") from None
    except ValueError as error:
        raise TlsUnusable(f"{shown}: {error}") from None


_SAID: Final = {
    "KEY_VALUES_MISMATCH": "the key is not the certificate's",
    "KEY_TYPE_MISMATCH": "the key is not the certificate's",
    "NO_CERTIFICATE_ASSIGNED": "the key is not the certificate's",
    "EE_KEY_TOO_SMALL": "the key of the certificate is too short",
    "CA_MD_TOO_WEAK": "the certificate is signed with a hash that is broken",
    "NO_START_LINE": "not PEM",
    "NO_CERTIFICATE_OR_CRL_FOUND": "holds no certificate and no revocation list",
    "BAD_DECRYPT": "the key is encrypted: write it without a password, readable by the gateway's user alone",
    "BAD_PASSWORD_READ": "the key is encrypted: write it without a password, readable by the gateway's user alone",
}


def _no_password() -> str:
    """Keep OpenSSL from asking for a password on a terminal."""
    raise ValueError("the key is encrypted: write it without a password, readable by the gateway's user alone")


def _spelt(kind: str, value: str) -> str | None:
    """Spell a subjectAltName as the configuration does."""
    match kind:
        case "DNS":
            return f"dns:{value.lower()}"
        case "URI":
            return f"uri:{value}"
        case "email":
            return f"email:{value.lower()}"
        case "IP Address":
            with contextlib.suppress(ValueError):
                return f"ip:{ipaddress.ip_address(value)}"
    return None
