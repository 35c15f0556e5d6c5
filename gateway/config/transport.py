"""Whether what a configuration says of TLS, certificates and tokens makes sense (D-17)."""

import ipaddress
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.config.addresses import NOT_AN_ADDRESS, is_loopback_host, split_address
from gateway.config.faults import Fault
from gateway.config.settings import OFF, Environment, Settings
from gateway.model import x509

_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
#: A name without blanks, in lower case; a URI keeps its case.
_NAME: Final = re.compile(r"(?:dns|email):[!-@\[-~]{1,253}|uri:[!-~]{3,2048}", re.ASCII)
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*)){1,30}", re.ASCII)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Doors that have a section of their own, and may listen with TLS.
_DOORS: Final = ("mllp", "http")


def faults(settings: Settings) -> Iterator[Fault]:
    """
    Check doors, files, certificates and tokens.

    Args:
        settings: Settings of the right types.

    Yields:
        What is wrong, without line numbers and without values.
    """
    yield from _listeners(settings)
    yield from _files(settings)
    yield from _networks(settings)
    yield from _rows(settings)
    yield from _sources(settings)


def has_tls(settings: Settings, door: str) -> bool:
    """Return whether a door listens with TLS."""
    return door in _DOORS and getattr(settings, door).tls_listen != OFF


def is_exposed(settings: Settings, door: str) -> bool:
    """Return whether a door listens without TLS beyond the loopback interface."""
    return door in _DOORS and not is_loopback_host(getattr(settings, door).host)


def _listeners(settings: Settings) -> Iterator[Fault]:
    for door in _DOORS:
        if is_exposed(settings, door) and not settings.tls.plaintext_networks:
            yield Fault(
                name=f"{door}.host",
                text="without TLS only an address of the loopback interface may be listened on, unless tls.plaintext_networks "
                f"names who may speak so; with TLS it is {door}.tls_listen (docs/trust.md)",
            )
        listen = getattr(settings, door).tls_listen
        if listen != OFF:
            host, port = split_address(listen)
            if port is None or not _is_address(host):
                yield Fault(name=f"{door}.tls_listen", text=f"{NOT_AN_ADDRESS}: 0.0.0.0:2576")
            for needed in ("certificate", "key") + (("authorities",) if door == "mllp" else ()):
                if not getattr(settings.tls, needed):
                    yield Fault(name=f"tls.{needed}", text=f"missing: {door}.tls_listen needs it")


def _files(settings: Settings) -> Iterator[Fault]:
    tls = settings.tls
    if tls.revocations and not tls.authorities:
        yield Fault(name="tls.revocations", text="of which authority? tls.authorities is empty")
    for name in ("certificate", "key", "authorities", "revocations"):
        path = getattr(tls, name)
        if path and (wrong := _wrong(Path(path), name, settings.environment)):
            yield Fault(name=f"tls.{name}", text=wrong)


def _wrong(path: Path, name: str, environment: Environment) -> str | None:
    """Return what is wrong with a file."""
    try:
        text = path.read_bytes()
        if name == "key":
            others = stat.S_IROTH | stat.S_IWOTH
            return "others on this machine can read it: chmod o-rw" if path.stat().st_mode & others else None
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    try:
        found = list(x509.read_all(text))
    except ValueError:
        return "not PEM, or not what it should be"
    if not any(is_certificate is (name != "revocations") for is_certificate, _ in found):
        return "holds no revocation list" if name == "revocations" else "holds no certificate"
    if environment is Environment.PRODUCTION and any(facts.is_of_tests for _, facts in found):
        return "of a test authority, whose keys anybody may have: not in production"
    return None


def _networks(settings: Settings) -> Iterator[Fault]:
    plain = [network for text in settings.tls.plaintext_networks if (network := _network(text)) is not None]
    for place, text in enumerate(settings.tls.plaintext_networks):
        if _network(text) is None:
            yield Fault(
                name=f"tls.plaintext_networks[{place}]",
                text="not a network: an address, a slash, a length, and no bits set behind it",
            )
    for place, text in enumerate(settings.metrics.networks):
        if _network(text) is None:
            yield Fault(
                name=f"metrics.networks[{place}]",
                text="not a network: an address, a slash, a length, and no bits set behind it",
            )
    for index, row in enumerate(settings.connections):
        if has_tls(settings, row.door):
            continue
        for place, text in enumerate(row.networks):
            network = _network(text)
            if network is not None and not network.is_loopback and not _within(network, plain):
                yield Fault(
                    name=f"connections[{index}].networks[{place}]",
                    text="without TLS only networks of the loopback interface and of tls.plaintext_networks are admitted",
                )


def _rows(settings: Settings) -> Iterator[Fault]:
    for index, row in enumerate(settings.connections):
        here = f"connections[{index}]"
        if row.certificates and row.door in _DOORS and not has_tls(settings, row.door):
            yield Fault(name=f"{here}.certificates", text=f"{row.door}.tls_listen is off: nobody could show a certificate")
        if row.certificates and has_tls(settings, row.door) and not settings.tls.authorities:
            yield Fault(name=f"{here}.certificates", text="tls.authorities is empty: no client certificate would be taken")
        for place, text in enumerate(row.certificates):
            if not _is_spelling(text):
                yield Fault(
                    name=f"{here}.certificates[{place}]",
                    text="sha256: and 64 hexadecimal digits in lower case, or a subjectAltName: dns: and email: in lower case, "
                    "uri:, ip:",
                )


def _sources(settings: Settings) -> Iterator[Fault]:
    owners: dict[str, int] = {}
    for index, row in enumerate(settings.sources):
        here = f"sources[{index}]"
        if row.charset_forced and row.charset is None:
            yield Fault(name=f"{here}.charset_forced", text="forced to what? charset is missing")
        if row.oid is not None and not _OID.fullmatch(row.oid):
            yield Fault(name=f"{here}.oid", text="not an OID: numbers and dots")
        for place, token in enumerate(row.tokens):
            name = f"{here}.tokens[{place}]"
            if not _HASH.fullmatch(token):
                yield Fault(
                    name=name,
                    text="sha256: and 64 hexadecimal digits in lower case: the hash of a token, never the token; "
                    "`dmp-gateway sources token` makes both",
                )
            elif owners.setdefault(token, index) != index:
                yield Fault(name=name, text=f"sources[{owners[token]}] has the same token: it must name one source")


def _is_spelling(text: str) -> bool:
    if text.startswith("ip:"):
        try:
            return str(ipaddress.ip_address(text[3:])) == text[3:]
        except ValueError:
            return False
    return _HASH.fullmatch(text) is not None or _NAME.fullmatch(text) is not None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _within(network: Network, others: Sequence[Network]) -> bool:
    return any(
        (isinstance(network, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network) and network.subnet_of(other))
        or (isinstance(network, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network) and network.subnet_of(other))
        for other in others
    )
