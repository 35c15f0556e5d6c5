"""`dmp-gateway sources`: who may send, by what each comes in, and why somebody does not."""

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

import click

from gateway.adapters import trust
from gateway.cli import console
from gateway.cli.certificates import NotTaken, shown_by
from gateway.cli.configuration import read_configuration
from gateway.cli.data_option import config_option, json_option
from gateway.config.settings import Settings
from gateway.config.transport import has_tls, is_exposed
from gateway.model.base import Model
from gateway.model.source import AnswerMode, Connection, Directory, Grant, Peer, Source
from gateway.wiring.clock import SystemClock

#: 256 bits; the prefix lets those who look for secrets in files find one.
_TOKEN_BYTES: Final = 32
_TOKEN_PREFIX: Final = "dmpgw_"  # noqa: S105 - what every token begins with
#: A token is one line.
_LONGEST_TOKEN: Final = 4096
_CONFIG: Final = "The configuration that `serve` gets."


class Way(Model, frozen=True, kw_only=True):
    """A row of `[[connections]]` that admits a source."""

    #: Its number, from 0, as faults of the configuration name it.
    row: int
    door: str
    port: int | None
    networks: tuple[str, ...]
    certificates: tuple[str, ...]
    #: `tls`, `plain` or both: how the door listens for it.
    transports: tuple[str, ...]


class SourceLine(Model, frozen=True, kw_only=True):
    """A source, and by what it comes in."""

    id: str
    establishment: str
    application: str
    facility: str
    grants: tuple[Grant, ...]
    document_types: tuple[str, ...]
    answer: AnswerMode
    #: How many bearer tokens it has (HTTP).
    tokens: int
    ways: tuple[Way, ...]


class Checked(Model, frozen=True, kw_only=True):
    """Whether a connection is admitted, and whom it may speak for."""

    is_admitted: bool
    #: Ids of the sources that it may speak for.
    sources: tuple[str, ...]
    #: The one that MSH-3 and MSH-4 choose of them, if they were given.
    source: str | None
    #: Why, a sentence for each row or rule that had a say.
    because: tuple[str, ...]


@click.group()
def sources() -> None:
    """See who may send and by what each comes in, try who would be admitted, make a token."""


@sources.command("list", short_help="Which source comes in by what.")
@config_option(_CONFIG)
@json_option
def list_(*, config: Path | None, as_json: bool) -> None:
    """
    Print each source with what admits it (door, port, networks, certificates, tokens), its grants and its answer mode.

    \b
    Examples:
      dmp-gateway sources list --config /etc/dmp-gateway.toml
      dmp-gateway sources list --json | jq 'select(.ways == [] and .tokens == 0).id'
    """  # noqa: D301 - click reads this mark
    settings = read_configuration(config, {}).settings
    lines = [source_line(settings, source) for source in settings.sources]
    if as_json:
        for line in lines:
            console.json_line(line)
        return
    rows = []
    for line in lines:
        ways = [_way(way) for way in line.ways] + ([f"http: {line.tokens} token{'s' * (line.tokens > 1)}"] if line.tokens else [])
        grants = ", ".join(grant.value for grant in line.grants) or "none"
        first, *others = ways or ["nothing: all that it sends is refused"]
        rows.append((line.id, f"{line.application} {line.facility}".strip(), first, grants, line.answer.value))
        rows += [("", "", other, "", "") for other in others]
    console.table(("source", "MSH-3 MSH-4", "comes in by", "may", "answered once"), rows)


@sources.command("check", short_help="Who would be admitted, and why not.")
@config_option(_CONFIG)
@click.option("--door", type=click.Choice(["mllp", "http"]), default="mllp", show_default=True, help="The door that it comes to.")
@click.option("--address", default="127.0.0.1", show_default=True, metavar="IP", help="Address of the machine.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port of ours that it connects to; without it, the door's.")
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM file of the client certificate that it shows.")
@click.option("--token", metavar="-", help="Its bearer token, read from standard input: only `-`.")
@click.option("--msh3", help="The application that its messages name (MSH-3).")
@click.option("--msh4", default="", help="The facility that its messages name (MSH-4).")
@json_option
def check(
    *,
    config: Path | None,
    door: str,
    address: str,
    port: int | None,
    certificate: Path | None,
    token: str | None,
    msh3: str | None,
    msh4: str,
    as_json: bool,
) -> None:
    """
    Say whether a machine would be admitted, for which sources, and if not, what stands in its way row by row.

    Nothing is connected to. A certificate is compared with the rows; whether an authority of ours issued it is checked too.

    \b
    Examples:
      dmp-gateway sources check --address 10.20.30.40 --msh3 SIL-V --msh4 CHU-VALMONT
      dmp-gateway sources check --address 10.20.30.40 --certificate sil.pem
      dmp-gateway sources check --door http --token - < token.txt

    Exit status: 0 admitted, 1 not, 2 usage.
    """  # noqa: D301 - click reads this mark
    settings = read_configuration(config, {}).settings
    if token not in {None, "-"}:
        console.usage("A token is read from standard input only: --token -", "A command line is seen by every user.")
    if token and door != "http":
        console.usage("Only the HTTP door takes tokens.", "Add --door http.")
    shown = None
    if certificate is not None:
        try:
            shown = shown_by(certificate, settings.tls.authorities, settings.tls.revocations, SystemClock().now())
        except NotTaken as failure:
            _not_admitted(str(failure), as_json=as_json)
    try:
        trust.address_of(address)
    except ValueError:
        console.usage(f"{address} is no address of a machine.", "Write --address 10.20.30.40")
    encrypted = certificate is not None or token is not None
    peer = Peer(address=address, port=port or _port(settings, door), certificate=shown, is_encrypted=encrypted)
    secret = sys.stdin.readline(_LONGEST_TOKEN).strip() if token else None
    found = checked(settings, door, peer, secret, None if msh3 is None else (msh3, msh4))
    if as_json:
        console.json_line(found)
    else:
        console.out.print("admitted" if found.is_admitted else "not admitted")
        for words in found.because:
            console.out.print(f"  {words}")
    if not found.is_admitted:
        raise SystemExit(1)


@sources.command("token", short_help="Make a bearer token for a source.")
@click.argument("source")
@config_option(_CONFIG)
def token(*, source: str, config: Path | None) -> None:
    """
    Make a bearer token (256 random bits) for SOURCE and print it, once, with the line that the configuration needs.

    The gateway keeps its hash alone: a token that is lost is replaced, never found again. A source may have several, so that a
    new one can be put in place before the old one is taken out. Whoever sends it must do so over TLS.
    """
    directory = read_configuration(config, {}).settings.directory
    if all(known.id != source for known in directory.sources):
        known = ", ".join(each.id for each in directory.sources)
        console.usage(f"There is no source {source}.", f"Known: {known}")
    made = _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    console.err.print("The token, for its sender alone; it is not shown again:")
    console.out.print(made)
    console.err.print(f"The line for [[sources]] of {source}:")
    console.err.print(f'  tokens = ["{trust.token_hash(made)}"]', markup=False)


def source_line(settings: Settings, source: Source) -> SourceLine:
    """Return what `sources list` tells of a source."""
    return SourceLine(
        id=source.id,
        establishment=source.establishment,
        application=source.application,
        facility=source.facility,
        grants=tuple(sorted(source.grants)),
        document_types=source.document_types,
        answer=source.answer,
        tokens=len(source.tokens),
        ways=tuple(_ways(settings, source)),
    )


def checked(settings: Settings, door: str, peer: Peer, token: str | None, named: tuple[str, str] | None) -> Checked:
    """
    Return whether a connection is admitted, as the door would decide it.

    Args:
        settings: The configuration.
        door: Where it comes to.
        peer: Who is at the other end.
        token: Its bearer token; None: none.
        named: MSH-3 and MSH-4; None: not asked.
    """
    because: list[str] = []
    if not trust.may_speak_plainly(peer, settings.tls.plaintext_networks):
        because.append("without TLS only this machine and tls.plaintext_networks are listened to: a certificate is needed")
        return Checked(is_admitted=False, sources=(), source=None, because=tuple(because))
    if token is not None:
        owner = trust.by_token(settings.directory, token)
        because.append("the token is no source's" if owner is None else f"the token is that of {owner.id}")
        ids: tuple[str, ...] = () if owner is None else (owner.id,)
        certified = trust.of_certificate(settings.connections, door, peer)
        if owner is not None and certified and owner.id not in certified:
            because.append(f"the certificate is that of {', '.join(certified)}: who shows two names is taken for neither")
            ids = ()
    else:
        for index, row in enumerate(settings.connections):
            if row.door == door:
                because.append(_said(index, row, trust.why_not(row, door, peer)))
        if all(row.door != door for row in settings.connections):
            because.append(f'no [[connections]] row has door = "{door}"')
        ids = trust.admitted(settings.connections, door, peer)
        if not ids and door == "http" and (known := [source.id for source in settings.sources if source.tokens]):
            because.append(f"with its token it would be, for one of: {', '.join(known)} (--token -)")
    directory = settings.directory.admitted(ids)
    chosen = None if named is None else directory.source(*named)
    if named is not None and ids:
        because.append(_named(settings.directory, chosen, named))
    return Checked(
        is_admitted=bool(ids) and (named is None or chosen is not None),
        sources=ids,
        source=None if chosen is None else chosen.id,
        because=tuple(because),
    )


def _named(directory: Directory, chosen: Source | None, named: tuple[str, str]) -> str:
    if chosen is not None:
        return f"MSH-3 and MSH-4 choose {chosen.id}"
    other = directory.source(*named)
    if other is not None:
        return f"MSH-3 and MSH-4 name {other.id}, which this connection may not speak for: answered AR"
    return "MSH-3 and MSH-4 name no source: answered AR"


def _said(index: int, row: Connection, reasons: tuple[str, ...]) -> str:
    who = f"connections[{index}] ({', '.join(row.sources)})"
    return f"{who} does not admit it: {'; '.join(reasons)}" if reasons else f"{who} admits it"


def _ways(settings: Settings, source: Source) -> Iterator[Way]:
    for index, row in enumerate(settings.connections):
        if source.id in row.sources:
            plain = not row.certificates and (is_exposed(settings, row.door) or _has_loopback(row))
            yield Way(
                row=index,
                door=row.door,
                port=row.port,
                networks=row.networks,
                certificates=row.certificates,
                transports=(*(["tls"] if has_tls(settings, row.door) else []), *(["plain"] if plain else [])),
            )


def _has_loopback(row: Connection) -> bool:
    return any(network.startswith(("127.", "::1")) for network in row.networks)


def _way(way: Way) -> str:
    where = way.door if way.port is None else f"{way.door} port {way.port}"
    by = [", ".join(way.networks) or "any network"]
    if way.certificates:
        by.append("with " + " or ".join(_short(certificate) for certificate in way.certificates))
    return f"{where}: {' '.join(by)} ({' or '.join(way.transports) or 'no listener'})"


def _short(certificate: str) -> str:
    return certificate[:19] + "…" if certificate.startswith("sha256:") else certificate


def _port(settings: Settings, door: str) -> int:
    return settings.mllp.port if door == "mllp" else settings.http.port


def _not_admitted(why: str, *, as_json: bool) -> NoReturn:
    if as_json:
        console.json_line(Checked(is_admitted=False, sources=(), source=None, because=(why,)))
    else:
        console.out.print("not admitted")
        console.out.print(f"  {why}")
    raise SystemExit(1)
