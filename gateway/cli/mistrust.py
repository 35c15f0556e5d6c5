"""Why TLS with a receiver failed, in words for whoever set it up; and what a sender trusts and shows."""

import ssl
from pathlib import Path
from typing import Final, NoReturn


class NoContext(Exception):
    """A file that TLS needs cannot be used, and why."""


#: Why we do not take their certificate, by OpenSSL's number of it (X509_V_ERR_…).
_THEIRS: Final = {
    9: "its certificate is not valid yet: is the clock of this machine right?",
    10: "its certificate has expired",
    18: "its certificate is signed by itself: name it, or the authority that you trust, by --ca",
    19: "no authority that we trust issued its certificate: name the right one by --ca",
    20: "no authority that we trust issued its certificate: name the right one by --ca",
    21: "no authority that we trust issued its certificate: name the right one by --ca",
    23: "its certificate is revoked",
    26: "its certificate is not one of a server",
    62: "its certificate is not for {host}: connect by a name that stands in it",
    64: "its certificate is not for {host}: connect by a name that stands in it",
}

#: What they say of ours: TLS alerts, by a word of OpenSSL's reason.
_OURS: Final = (
    ("CERTIFICATE_REQUIRED", "it wants a client certificate: --cert and --key"),
    ("UNKNOWN_CA", "it knows no authority that issued our certificate"),
    ("CERTIFICATE_EXPIRED", "our certificate has expired"),
    ("CERTIFICATE_REVOKED", "our certificate is revoked"),
    ("BAD_CERTIFICATE", "it does not take our certificate"),
    ("UNSUPPORTED_CERTIFICATE", "our certificate is not one of a client"),
    ("CERTIFICATE_UNKNOWN", "it does not take our certificate"),
    ("HANDSHAKE_FAILURE", "it found nothing in common with us, or wants a client certificate: --cert and --key"),
    ("PROTOCOL_VERSION", "it speaks another version of TLS: 1.2 or 1.3 is needed"),
    ("WRONG_VERSION_NUMBER", "it speaks no TLS there: is this the port for plain text?"),
    ("RECORD_LAYER_FAILURE", "it speaks no TLS there: is this the port for plain text?"),
)

#: It took the connection and closed it at the first word of TLS.
CLOSED: Final = (
    "it closed the connection before TLS was agreed: is this the port for plain text, or is this machine not admitted?"
)


def mistrust(failure: ssl.SSLError, host: str) -> str:
    """
    Return why TLS failed.

    Args:
        failure: Of the handshake, or of a later read: with TLS 1.3 a receiver looks at our certificate after our handshake.
        host: The receiver as it was named.
    """
    if isinstance(failure, ssl.SSLCertVerificationError):
        return _THEIRS.get(failure.verify_code, f"its certificate cannot be taken: {failure.verify_message}").format(host=host)
    reason = getattr(failure, "reason", None) or ""
    return next((words for word, words in _OURS if word in reason), f"TLS failed: {reason or type(failure).__name__}")


def context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """
    Return what a sender trusts and shows: TLS 1.2 or later, the name of the host checked.

    Args:
        ca: PEM file of the authorities that we trust; None: the machine's own.
        certificate: PEM file of our certificate and those between it and its root; None: we show none.
        key: PEM file of its key; None: it stands in the certificate's file.

    Raises:
        NoContext: a file cannot be used.
    """
    for file in (ca, certificate, key):
        _look(file)
    try:
        made = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    except (ssl.SSLError, OSError):
        raise NoContext(f"{ca} holds no certificate of an authority (PEM)") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        try:
            made.load_cert_chain(certificate, key, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as failure:
            reason = getattr(failure, "reason", None)
            if reason == "KEY_VALUES_MISMATCH":
                raise NoContext(f"{certificate} with {key or 'the key in it'}: the key is not the certificate's") from None
            if key is None:
                raise NoContext(f"{certificate} is not PEM, or its key is in a file of its own: --key FILE") from None
            raise NoContext(f"{certificate} with {key}: not PEM, or the key has a password") from None
    return made


def _look(file: Path | None) -> None:
    """Refuse a file that cannot be read, by its name: OpenSSL does not say which."""
    try:
        if file is not None:
            file.read_bytes()
    except OSError as failure:
        raise NoContext(f"{file} cannot be read: {failure.strerror}") from None


def _no_password() -> NoReturn:
    """Keep OpenSSL from asking for a password on a terminal."""
    raise ValueError("encrypted")
