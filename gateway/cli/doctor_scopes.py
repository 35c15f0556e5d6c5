"""Oppositions that name what this gateway does not have: a statement that binds nobody must not go unseen (R-13)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gateway.model.event import Scope
from gateway.model.source import Directory


class Unbound(NamedTuple):
    """An opposition that no source of the configuration can meet."""

    subject: str
    text: str
    advice: str


def unbound(opposed: Iterable[tuple[str, str, int]], directory: Directory) -> Iterator[Unbound]:
    """
    Tell which oppositions name an establishment, a site or a kind of source that the configuration does not have.

    Args:
        opposed: (scope, what it names, how many patients), as `Reader.opposed_scopes` gives them.
        directory: The configuration's establishments and sources.

    Yields:
        One for each value that nothing has.
    """
    sited = [(each, each.sites) for each in directory.establishments]
    establishments = {key for each, sites in sited for key in (each.id, *sites, *each.former_keys(sites))}
    kinds = {kind.value for source in directory.sources for kind in directory.kinds(source)}
    for scope, value, patients in opposed:
        bound = "it binds nobody"
        if scope == Scope.ESTABLISHMENT and value not in establishments:
            advice = "if it was renamed, or its FINESS has changed, state it anew under its present id"
            if value.startswith("finess:"):
                bound = "it binds only documents whose papers name this FINESS"
        elif scope == Scope.SOURCE_KIND and value not in kinds:
            advice = f"say `kind = '{value}'` of the sources that are of that kind, or of their establishment"
        else:
            continue
        text = f"{scope} {value}, opposed by {patients} of the patients, is no source here: {bound}"
        yield Unbound(subject="oppositions", text=text, advice=advice)
