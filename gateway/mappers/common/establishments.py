"""Which establishments an opposition is tested against: every one that a deposit names (D-1)."""

from collections.abc import Iterable

from gateway.model.document import Author, Organisation
from gateway.model.source import Directory, Source


def named(source: Source, senders: Iterable[Author], custodians: Iterable[Organisation], directory: Directory) -> tuple[str, ...]:
    """
    Return the keys of the establishments of a submission.

    Args:
        source: Who deposits: its establishment owns the documents and comes first.
        senders: PRT SB of each document.
        custodians: Custodian of each CDA (Struct_IdNat, ``1`` + FINESS). Every number of a sender or custodian counts.
        directory: Configured establishments.

    Returns:
        Each key once, the establishments before their sites; an organisation whose number is no FINESS has none. Of an
        establishment whose oppositions are told apart by site each site that is named; where none is, every one.

    Source: D-1; O-10.
    """
    organisations = [*(one.organisation for one in senders if one.organisation is not None), *custodians]
    keys: dict[str, None] = {source.establishment: None}
    for organisation in organisations:
        keys |= dict.fromkeys(keys_of(organisation, directory))
    written = [number.value for organisation in organisations for number in organisation.ids]
    named = dict.fromkeys(site for number in (source.site or "", *written) if (site := directory.site(number)) is not None)
    for establishment in directory.establishments:
        if establishment.id in keys and not any(site in named for site in establishment.sites):
            named |= dict.fromkeys(establishment.sites)
    return (*keys, *named)


def formerly(keys: tuple[str, ...], directory: Directory) -> tuple[str, ...]:
    """
    Return under which other keys oppositions to establishments may have been kept, as the configuration was then.

    An opposition to a FINESS binds an establishment that was configured since, one to a site its establishment if sites are not
    told apart any longer.

    Args:
        keys: As `named` returned them.
        directory: Configured establishments.

    Source: R-13; O-10.
    """
    configured = [establishment for establishment in directory.establishments if establishment.id in keys]
    former = (key for establishment in configured for key in establishment.former_keys(keys))
    return tuple(dict.fromkeys(key for key in former if key not in keys))


def keys_of(organisation: Organisation, directory: Directory) -> tuple[str, ...]:
    """Return the key of each establishment that a number of an organisation names; none if no number is a FINESS."""
    keys = (directory.by_finess(number.value) for number in organisation.ids)
    return tuple(key for key in keys if key is not None)
