"""What the configuration says of TLS and trust, as doors are given it; and what of it a person should know (D-17)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from gateway.adapters.tls import Reloading, Term, TlsFiles
from gateway.config.addresses import split_address
from gateway.config.faults import ConfigurationInvalid, Fault
from gateway.config.settings import OFF, Environment, Settings
from gateway.config.transport import is_exposed
from gateway.model.ports import Clock
from gateway.terminology import table

#: So long before its end a certificate is spoken of: a renewal takes weeks where a hospital orders it.
SOON: Final = timedelta(days=30)


def tls_files(settings: Settings) -> TlsFiles:
    """Return the files of `[tls]`."""
    tls = settings.tls
    return TlsFiles(
        certificate=tls.certificate,
        key=tls.key,
        authorities=tls.authorities,
        revocations=tls.revocations,
        production=settings.environment is Environment.PRODUCTION,
    )


def tls_address(listen: str) -> tuple[str, int] | None:
    """Return host and port of a setting `tls_listen`, which was checked; None: nobody listens."""
    host, port = split_address(listen)
    return None if listen == OFF or port is None else (host, port)


def exposures(settings: Settings) -> Iterator[str]:
    """Tell which doors listen without TLS beyond the loopback interface, and for whom."""
    for door, section in (("mllp", settings.mllp), ("http", settings.http)):
        if is_exposed(settings, door):
            who = ", ".join(settings.tls.plaintext_networks)
            yield f"plaintext exposure: {door} listens on {section.host} without TLS, for {who}"


def ending(terms: tuple[Term, ...], clock: Clock) -> Iterator[str]:
    """Tell which certificates and revocation lists end soon, have ended, or have not begun."""
    now = clock.now()
    for use in dict.fromkeys(term.use for term in terms):
        mine = [term for term in terms if term.use == use]
        if any(term.begins > now for term in mine):
            yield f"tls.{_key(use)}: not yet valid: is the clock of this machine right?"
        first = min(term.ends for term in mine)
        if first - now < SOON:
            said = "has ended" if first <= now else "ends"
            yield f"tls.{_key(use)}: {said} on {first:%Y-%m-%d}: put a new one in its place, it is taken without a restart"


def notes(settings: Settings, contexts: Reloading | None, clock: Clock) -> tuple[str, ...]:
    """
    Return what /readyz adds, though nothing is missing.

    Args:
        settings: The configuration.
        contexts: The certificates of a door; None: it has no TLS.
        clock: The time.
    """
    found = [*exposures(settings)]
    if contexts is not None:
        found += ending(contexts.terms, clock)
        if contexts.problem is not None:
            found.append(f"the new files of [tls] are not used, the old ones go on: {contexts.problem}")
    return tuple(found)


def check(settings: Settings) -> None:
    """
    Look up the codes of sources: the settings themselves do not know the terminology.

    Raises:
        ConfigurationInvalid: a code that no value set has.
    """
    if found := tuple(_faults(settings)):
        raise ConfigurationInvalid(found)


def _faults(settings: Settings) -> Iterator[Fault]:
    types = {code.code for code in table("type_code")}
    for index, row in enumerate(settings.sources):
        for place, code in enumerate(row.document_types):
            if code not in types:
                yield Fault(
                    name=f"sources[{index}].document_types[{place}]",
                    text="no type of documents that the record takes; docs/terminology.md lists them",
                )


def _key(use: str) -> str:
    return "certificate" if use == "server" else use
