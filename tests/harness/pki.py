"""Authorities, certificates and revocation lists that a test makes, good ones and bad ones."""

import functools
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey
Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]

YEAR: Final = timedelta(days=365)
#: Of the test process: every certificate of a run is made around it.
NOW: Final = datetime.now(UTC).replace(microsecond=0)
_KINDS: Final = {"dns": x509.DNSName, "uri": x509.UniformResourceIdentifier, "email": x509.RFC822Name}


@functools.cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """Return an RSA key; made once."""
    return rsa.generate_private_key(65537, bits)


@functools.cache
def dsa_key() -> dsa.DSAPrivateKey:
    """Return a DSA key; made once."""
    return dsa.generate_private_key(1024)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """Return a new key."""
    return ec.generate_private_key(curve or ec.SECP256R1())


def name(common: str) -> x509.Name:
    """Return a name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def alternative(text: str) -> x509.GeneralName:
    """Return a subjectAltName as the configuration spells it."""
    kind, _, value = text.partition(":")
    return x509.IPAddress(ipaddress.ip_address(value)) if kind == "ip" else _KINDS[kind](value)


@dataclass(frozen=True)
class Made:
    """A certificate, its key, and those between it and its root."""

    certificate: x509.Certificate
    key: Any
    chain: Sequence[x509.Certificate] = ()

    @property
    def pem(self) -> bytes:
        """It, then the chain."""
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, hexadecimal."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def write(self, folder: Path, stem: str) -> tuple[Path, Path]:
        """Write certificate and key; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
        replace(certificate, self.pem)
        replace(key, self.key_pem, mode=0o600)
        return certificate, key


def replace(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put a file in the place of another, as an operator's tool does."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.chmod(mode)
    new.rename(path)


@dataclass
class Authority:
    """One that signs."""

    common: str = "An authority of tests"
    key: Any = field(default_factory=ec_key)
    parent: "Authority | None" = None
    path_length: int | None = None
    #: Of its own certificate.
    change: Change | None = None
    basic: x509.BasicConstraints | None = None
    can_sign: bool = True
    begins: datetime = NOW - YEAR
    ends: datetime = NOW + YEAR
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        signer = self.parent or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(self.common))
            .issuer_name(name(signer.common))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.begins)
            .not_valid_after(self.ends)
            .add_extension(self.basic or x509.BasicConstraints(ca=True, path_length=self.path_length), critical=True)
            .add_extension(_usage(sign=False, certificates=self.can_sign), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        )
        if self.parent is not None:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False
            )
        self.certificate = (self.change(builder) if self.change else builder).sign(signer.key, digest_of(signer.key))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *names: str,
        common: str = "sender",
        key: Any = None,
        begins: datetime = NOW - YEAR,
        ends: datetime = NOW + YEAR,
        purposes: Iterable[x509.ObjectIdentifier] | None = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH),
        change: Change = lambda builder: builder,
        digest: Any = hashes.SHA256,
        signer: Any = None,
        issuer: x509.Name | None = None,
        is_authority: bool = False,
        signs: bool = True,
    ) -> Made:
        """Make a certificate; `change` adds what makes it bad."""
        own = key or ec_key()
        signing = signer or self.key
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(issuer or self.certificate.subject)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(_usage(sign=signs, certificates=is_authority), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative(each) for each in names]), critical=False)
        if purposes is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
        made = change(builder).sign(signing, digest_of(signing, digest))
        return Made(made, own, [] if self.parent is None else [self.certificate])

    def revoke(self, *made: Made, ends: datetime = NOW + YEAR) -> bytes:
        """Return a revocation list (PEM) of certificates."""
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self.certificate.subject, last_update=NOW - 2 * YEAR, next_update=ends
        ).add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        for each in made:
            revoked = x509.RevokedCertificateBuilder(each.certificate.serial_number, NOW - timedelta(days=1))
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self.key, digest_of(self.key)).public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Pki:
    """What most tests need: an authority of servers, one of clients, and a certificate of each."""

    servers: Authority
    clients: Authority
    server: Made
    client: Made

    @classmethod
    def make(cls) -> Self:
        servers, clients = Authority("Servers"), Authority("Clients", can_sign=True)
        return cls(
            servers=servers,
            clients=clients,
            server=servers.issue("dns:localhost", "ip:127.0.0.1", "ip:::1", common="gateway"),
            client=clients.issue("dns:sil.chu.example", common="SIL"),
        )

    def write(self, folder: Path) -> dict[str, Path]:
        """Write the files of `[tls]`; return them by key."""
        certificate, key = self.server.write(folder, "server")
        files = {"certificate": certificate, "key": key}
        for use, content in (("authorities", self.clients.pem), ("revocations", self.clients.revoke())):
            files[use] = folder / f"{use}.pem"
            replace(files[use], content)
        return files


def digest_of(key: Any, digest: Any = hashes.SHA256) -> Any:
    """Return the digest that a key signs with; None for one that has its own."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else digest()


def _usage(*, sign: bool, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=not sign and not certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
