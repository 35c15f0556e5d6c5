"""
Certificates in files: what a client's shows, and a test authority that makes some.

The one module of the command line that uses `cryptography`: the standard library reads no certificate whose key it has not got,
and makes none.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.model.source import Certificate
from gateway.model.x509 import TEST_AUTHORITY

#: Longer chains are no chains.
_DEEPEST: Final = 8
_AUTHORITY_DAYS: Final = 365


class NotTaken(Exception):
    """TLS would not take a certificate, and why."""


class Signer:
    """A test authority: whoever has its folder can be anybody, so that production refuses what it makes."""

    def __init__(self, now: datetime, days: int = _AUTHORITY_DAYS) -> None:
        """
        Draw its key and sign its own certificate.

        Args:
            now: The time.
            days: How long it and what it makes are good.
        """
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._begins = now - timedelta(minutes=5)  # a clock that is a little behind
        self._ends = now + timedelta(days=days)
        self._name = _name(TEST_AUTHORITY)
        self.certificate = self._sign(self._name, self._key.public_key(), authority=True)

    def issue(self, common: str, names: Iterable[str], *, server: bool) -> tuple[bytes, bytes]:
        """
        Return a certificate with its authority's behind it, and its key, both PEM.

        Args:
            common: Its common name, for people.
            names: Its subjectAltNames, as `Connection.certificates` spells them.
            server: Whether it is a server's, or a client's.

        Raises:
            ValueError: a name that is none.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._sign(_name(common), key.public_key(), names=[_alternative(name) for name in names], server=server)
        pem = made.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return pem, private

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def _sign(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        names: Sequence[x509.GeneralName] = (),
        server: bool = False,
        authority: bool = False,
    ) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=not authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=authority,
            crl_sign=authority,
            encipher_only=False,
            decipher_only=False,
        )
        own = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._begins)
            .not_valid_after(self._ends)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )
        if not authority:
            purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def shown_by(path: Path, authorities: str, revocations: str, now: datetime) -> Certificate:
    """
    Return what sources are admitted by, of a client certificate in a file; its key is not needed.

    Args:
        path: PEM: the certificate, then those between it and its root.
        authorities: PEM file of those whose certificates are taken; empty: nobody's are.
        revocations: PEM file of revocation lists; empty: none is looked at.
        now: The time.

    Raises:
        NotTaken: it is no certificate, or TLS would not take it at that time.
    """
    chain = _load(path)
    first = chain[0]
    if not first.not_valid_before_utc <= now <= first.not_valid_after_utc:
        until = f"{first.not_valid_before_utc:%Y-%m-%d} to {first.not_valid_after_utc:%Y-%m-%d}"
        raise NotTaken(f"{path} is good from {until} only: TLS refuses it")
    trusted = _load(Path(authorities)) if authorities else []
    led = _leads(first, chain[1:], trusted)
    if not led:
        raise NotTaken(f"no authority of tls.authorities issued {path}: TLS refuses it")
    flaws = [flaw for each in (first, *led) for flaw in _flaws(each, is_authority=each is not first)]
    if flaws:
        raise NotTaken(f"{path}: {'; '.join(flaws)}: TLS refuses it (RFC 5280)")
    if revocations and _is_revoked(first, Path(revocations)):
        raise NotTaken(f"{path} is revoked: TLS refuses it")
    return Certificate(fingerprint=first.fingerprint(hashes.SHA256()).hex(), names=tuple(_names(first)))


def _load(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as failure:
        raise NotTaken(f"{path} cannot be read: {failure.strerror}") from None
    except ValueError:
        raise NotTaken(f"{path} holds no certificate (PEM)") from None


def _leads(
    first: x509.Certificate, between: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Return the authorities by whose signatures a certificate leads to one that is trusted, that one last; empty: none."""
    current, led = first, list[x509.Certificate]()
    for _ in range(_DEEPEST):
        last = next((authority for authority in trusted if _issued(current, authority)), None)
        if last is not None:
            return (*led, last)
        above = next((each for each in between if each != current and _issued(current, each)), None)
        if above is None:
            return ()
        current = above
        led.append(above)
    return ()


def _flaws(certificate: x509.Certificate, *, is_authority: bool) -> Iterable[str]:
    """
    Yield what OpenSSL's strict check of a door (`gateway.adapters.tls`) refuses, and what home-made authorities often lack.

    Source: RFC 5280 § 4.2.1.1, 4.2.1.2, 4.2.1.3, 4.2.1.9; openssl-verification-options, -x509_strict.
    """
    who = f"its authority ({certificate.subject.rfc4514_string()})" if is_authority else "it"
    found = {each.oid: each for each in certificate.extensions}
    if certificate.issuer != certificate.subject and x509.AuthorityKeyIdentifier.oid not in found:
        yield f"{who} has no authorityKeyIdentifier"
    if not is_authority:
        return
    if x509.SubjectKeyIdentifier.oid not in found:
        yield f"{who} has no subjectKeyIdentifier"
    usage = found.get(x509.KeyUsage.oid)
    if usage is None or not usage.value.key_cert_sign:
        yield f"{who} has no keyUsage with keyCertSign"
    basic = found.get(x509.BasicConstraints.oid)
    if basic is None or not basic.critical or not basic.value.ca:
        yield f"{who} has no critical basicConstraints with CA:TRUE"


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_revoked(certificate: x509.Certificate, path: Path) -> bool:
    mark = b"-----BEGIN X509 CRL-----"
    try:
        lists = [x509.load_pem_x509_crl(mark + part) for part in path.read_bytes().split(mark)[1:]]
    except (OSError, ValueError):
        raise NotTaken(f"{path} cannot be read as revocation lists (PEM)") from None
    mine = [found for found in lists if found.issuer == certificate.issuer]
    if not mine:
        raise NotTaken(f"{path} holds no list of the authority that issued it: TLS refuses it")
    return any(found.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None for found in mine)


def _names(certificate: x509.Certificate) -> Iterable[str]:
    """Yield the subjectAltNames, spelt as `gateway.adapters.tls.certificate_of` does."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for each in found:
        match each:
            case x509.DNSName():
                yield f"dns:{each.value.lower()}"
            case x509.UniformResourceIdentifier():
                yield f"uri:{each.value}"
            case x509.RFC822Name():
                yield f"email:{each.value.lower()}"
            case x509.IPAddress():
                yield f"ip:{each.value}"
            case _:
                continue


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(spelt: str) -> x509.GeneralName:
    kind, _, value = spelt.partition(":")
    match kind:
        case "dns":
            return x509.DNSName(value)
        case "uri":
            return x509.UniformResourceIdentifier(value)
        case "email":
            return x509.RFC822Name(value)
        case "ip":
            return x509.IPAddress(ipaddress.ip_address(value))
        case _:
            raise ValueError(f"{spelt}: begin with dns:, uri:, email: or ip:")
