"""Whose data: identifiers, traits and the reliability of an identity."""

from collections.abc import Mapping
from typing import Final

from gateway.model.base import Model
from gateway.model.ins import ROOTS
from gateway.model.place import Place
from gateway.model.when import When

#: The status of a qualified identity: the only one under which an INS may be carried. Source: PAM France 2.11, table 0445.
QUALIFIED: Final = "VALI"
#: Beside it, what holds an identity back (doubtful, fictive, anonymous, usurped, proven collision, duplicate).
WITHHOLDING: Final = frozenset({"DOUT", "FICT", "ANOM", "USUR", "COLV", "DOUB"})
#: Another patient is known to share the traits; it holds nothing back.
HOMONYM: Final = "HOMA"

#: Characters of an identifier, or of an authority: what is longer is none.
LONGEST: Final = 250


class PatientId(Model, frozen=True, kw_only=True):
    """
    One identifier of a patient in its canonical form.

    `authority` is the OID of an INS root, or ``<establishment id>/<domain>`` for a local identifier of a configured authority, or
    the foreign authority as written.
    """

    value: str
    authority: str
    #: CX-5 as written.
    type: str | None = None
    place: Place | None = None

    @property
    def is_ins(self) -> bool:
        """Whether it is an INS (by its root)."""
        return self.authority in ROOTS

    @property
    def key(self) -> tuple[str, str]:
        """(authority, value): what two identifiers share when they are the same."""
        return (self.authority, self.value)


class Traits(Model, frozen=True, kw_only=True):
    """The strict and other traits of an identity, as received; never normalised here."""

    birth_name: str | None = None
    used_name: str | None = None
    first_given_name: str | None = None
    #: Every birth given name, space separated.
    given_names: str | None = None
    birth_date: When | None = None
    #: `M`, `F` or `U`.
    sex: str | None = None
    #: INSEE code of the place of birth, five characters.
    birth_place: str | None = None


class PatientIdentity(Model, frozen=True, kw_only=True):
    """A patient as one source names them: PID, or one recordTarget."""

    identifiers: tuple[PatientId, ...] = ()
    traits: Traits = Traits()
    #: HL7 table 0445 as extended in France (PID-32): status and attributes.
    reliability: tuple[str, ...] = ()
    #: A birth rank is given (PID-25): a twin has the same name, date and place.
    twin: bool = False
    #: Place of each field: ``traits.birth_name``, ``reliability``…
    places: Mapping[str, Place] = {}

    @property
    def ins(self) -> tuple[PatientId, ...]:
        """The INS among the identifiers."""
        return tuple(known for known in self.identifiers if known.is_ins)

    @property
    def is_qualified(self) -> bool:
        """Whether its status is that of a qualified identity and nothing holds it back (D-19)."""
        return QUALIFIED in self.reliability and WITHHOLDING.isdisjoint(self.reliability)

    @property
    def is_shared(self) -> bool:
        """Whether somebody else has these traits: a homonym (HOMA) or a twin."""
        return self.twin or HOMONYM in self.reliability
