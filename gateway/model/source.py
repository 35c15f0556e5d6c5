"""Who sends: establishments, sources, and the connections that admit them (D-17)."""

import enum
import re
from collections.abc import Collection, Mapping
from typing import Final, Self

from gateway.model.base import Model


class Grant(enum.StrEnum):
    """What a source may do beyond being read."""

    DEPOSIT = "deposit"
    STATE_OPPOSITION = "state_opposition"
    LIFT_OPPOSITION = "lift_opposition"
    LINK_IDENTITY = "link_identity"
    MERGE_IDENTITY = "merge_identity"
    #: The source is trusted to send qualified identities by formats that carry no status (D-19).
    IDENTITY_ASSERTED = "identity_asserted"


class SourceKind(enum.StrEnum):
    """What kind of feeder an establishment or a source is: a patient may oppose one kind as a whole (R-11, R-14)."""

    HOSPITAL = "hospital"
    LABORATORY = "laboratory"
    IMAGING = "imaging"
    PRACTICE = "practice"
    PHARMACY = "pharmacy"
    #: The insurer's history.
    INSURER = "insurer"
    #: The patient's own door: what the patient wrote passes every opposition (O-14).
    PATIENT = "patient"


class AnswerMode(enum.StrEnum):
    """When a deposit is answered AA (D-2)."""

    #: Once it is durable in the queue.
    DURABLE = "durable"
    #: Once the record has decided: AA is withheld until the outcome.
    DECIDED = "decided"


class OppositionScope(enum.StrEnum):
    """What an opposition binds that was told to an establishment (O-10)."""

    #: The whole of it, whichever source received it.
    LEGAL_ENTITY = "legal_entity"
    #: The site of the source that received it.
    SITE = "site"


_FINESS: Final = re.compile(r"1?(\d[0-9AB]\d{7})", re.ASCII)


def finess_key(written: str) -> str | None:
    """
    Return the nine characters of a FINESS number, without the leading 1 of its national form.

    Args:
        written: XON-10 or an organisation id as sent (``1120456789``, ``120456789`` and ``12 045 678 9`` are the same).

    Returns:
        Nine characters, or None if it is no FINESS.

    Source: O-10; CI-SIS, CDA R2.
    """
    match = _FINESS.fullmatch("".join(written.split()))
    return match.group(1) if match else None


class Establishment(Model, frozen=True, kw_only=True):
    """The legal entity (FINESS EJ) with its geographic FINESS numbers: oppositions bind it, it owns documents."""

    id: str
    name: str
    finess_ej: str
    finess_eg: tuple[str, ...] = ()
    #: Its own assigning authorities by domain: every spelling (namespace, universal id, OID) of each.
    authorities: Mapping[str, tuple[str, ...]] = {}
    kind: SourceKind = SourceKind.HOSPITAL
    opposition_scope: OppositionScope = OppositionScope.LEGAL_ENTITY

    def domain(self, *spellings: str | None) -> str | None:
        """Return the domain whose authority one of the spellings names, or None (case is not significant)."""
        wanted = {spelling.strip().casefold() for spelling in spellings if spelling}
        for domain, known in self.authorities.items():
            if wanted & {spelling.casefold() for spelling in known}:
                return domain
        return None

    @property
    def finess(self) -> frozenset[str]:
        """Every FINESS of the establishment, nine characters each."""
        return frozenset(key for number in (self.finess_ej, *self.finess_eg) if (key := finess_key(number)))

    @property
    def sites(self) -> tuple[str, ...]:
        """The key of each site, where oppositions are told apart by site; else none (O-10)."""
        return tuple(key for number in self.finess_eg if (key := self.site(number)) is not None)

    def former_keys(self, sites: Collection[str]) -> tuple[str, ...]:
        """
        Return the keys under which an opposition to it was kept while the configuration did not have it, or told its sites apart.

        Args:
            sites: Keys of the sites that are meant, where oppositions are told apart by site: of the others it has none.
        """
        site_numbers = sorted({key for number in self.finess_eg if (key := finess_key(number)) is not None})
        by_site = self.opposition_scope is OppositionScope.SITE
        meant = [number for number in site_numbers if not by_site or f"{self.id}/{number}" in sites]
        whole = finess_key(self.finess_ej)
        unknown = (f"finess:{number}" for number in dict.fromkeys((*([whole] if whole else []), *meant)))
        return (*(f"{self.id}/{number}" for number in meant), *unknown)

    def site(self, written: str) -> str | None:
        """Return the key of the site of that FINESS, where oppositions are told apart by site: ``<id>/<nine characters>``."""
        if self.opposition_scope is OppositionScope.LEGAL_ENTITY:
            return None
        key = finess_key(written)
        return f"{self.id}/{key}" if key in {finess_key(number) for number in self.finess_eg} else None


class Source(Model, frozen=True, kw_only=True):
    """One sender: an application (MSH-3) of one establishment (MSH-4) with its grants."""

    id: str
    establishment: str
    application: str
    facility: str
    grants: frozenset[Grant] = frozenset({Grant.DEPOSIT})
    #: What kind of feeder it is beside its establishment (a hospital's laboratory).
    kind: SourceKind | None = None
    #: FINESS of the site that it stands in; only where the establishment's oppositions are told apart by site (O-10).
    site: str | None = None
    #: Charset to read by when MSH-18 is empty (HL7 table 0211), else `hl7v2` § 13 decides.
    charset: str | None = None
    #: Read by `charset` whatever MSH-18 says: a sender that declares one and writes another.
    charset_forced: bool = False
    #: When its deposits are answered.
    answer: AnswerMode = AnswerMode.DURABLE
    #: The only document types (XDS typeCode) that it may deposit; empty: every type that the record takes.
    document_types: tuple[str, ...] = ()
    #: SHA-256 of each of its bearer tokens, ``sha256:`` and 64 hexadecimal digits (HTTP).
    tokens: tuple[str, ...] = ()
    #: OID of its system: the sourceId of submission sets that are made for it (ITI-105).
    oid: str | None = None
    #: contentTypeCode (JDV_J59) of submission sets whose format carries none (ITI-105, a CDA alone).
    content_type: str | None = None


class Connection(Model, frozen=True, kw_only=True):
    """What may connect where: the sources that a door admits from some networks, with some certificates."""

    door: str
    #: Networks that it may come from; empty with `certificates`: any.
    networks: tuple[str, ...] = ()
    sources: tuple[str, ...]
    #: Only connections to this port; None is every port of the door.
    port: int | None = None
    #: Only with one of these client certificates: ``sha256:`` and 64 hexadecimal digits (of the whole certificate, DER), or a
    #: subjectAltName: ``dns:sih.chu.example``, ``uri:…``, ``email:…``, ``ip:…``. Empty: a certificate neither helps nor harms.
    certificates: tuple[str, ...] = ()


class Certificate(Model, frozen=True, kw_only=True):
    """A client certificate that TLS has verified: what of it sources are admitted by."""

    #: SHA-256 of the certificate (DER), 64 hexadecimal digits, lower case.
    fingerprint: str
    #: Its subjectAltNames, as `Connection.certificates` writes them, lower case but for URIs.
    names: tuple[str, ...] = ()

    @property
    def spellings(self) -> frozenset[str]:
        """Every way in which the configuration may name it."""
        return frozenset({f"sha256:{self.fingerprint}", *self.names})


class Peer(Model, frozen=True, kw_only=True):
    """Who is at the other end of a connection, as far as the connection itself shows it."""

    #: Address of the machine.
    address: str
    #: The port of ours that it connected to.
    port: int
    #: None: no TLS, or none was presented.
    certificate: Certificate | None = None
    is_encrypted: bool = False


class Directory(Model, frozen=True, kw_only=True):
    """All establishments and sources of the gateway, as configured."""

    establishments: tuple[Establishment, ...] = ()
    sources: tuple[Source, ...] = ()

    def establishment(self, identifier: str) -> Establishment | None:
        """Return the establishment of that id."""
        return next((known for known in self.establishments if known.id == identifier), None)

    def by_finess(self, written: str) -> str | None:
        """
        Return the key under which oppositions to a FINESS are kept.

        Returns:
            The id of the configured establishment that has this number (EJ or EG), ``finess:…`` for another one, None if it is
            no FINESS. Source: O-10.
        """
        key = finess_key(written)
        if key is None:
            return None
        return next((known.id for known in self.establishments if key in known.finess), f"finess:{key}")

    def site(self, written: str) -> str | None:
        """Return the key of the site that a FINESS names, where its establishment's oppositions are told apart by site (O-10)."""
        return next((key for known in self.establishments if (key := known.site(written)) is not None), None)

    def kinds(self, source: Source) -> tuple[SourceKind, ...]:
        """Return every kind that a source is of: its own, then its establishment's."""
        establishment = self.establishment(source.establishment)
        every = (source.kind, None if establishment is None else establishment.kind)
        return tuple(dict.fromkeys(kind for kind in every if kind is not None))

    def side(self, source: Source) -> str:
        """Return the key of what is bound by what a source states of its establishment's side: the whole, or its site (O-10)."""
        establishment = self.establishment(source.establishment)
        site = None if establishment is None or source.site is None else establishment.site(source.site)
        return source.establishment if site is None else site

    def admitted(self, identifiers: tuple[str, ...]) -> Self:
        """Return the directory with only those sources."""
        return type(self)(
            establishments=self.establishments,
            sources=tuple(known for known in self.sources if known.id in identifiers),
        )

    def source(self, application: str, facility: str) -> Source | None:
        """Return the source of MSH-3 (component 1) and MSH-4 (component 1), or None."""
        return next((s for s in self.sources if s.application == application and s.facility == facility), None)
