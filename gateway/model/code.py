"""Codes and identifiers as written in a source."""

from typing import Final

from gateway.model.base import Model

#: The longest identifier that is kept and looked up; the longest CX of any version has as many characters.
LONGEST_IDENTIFIER: Final = 250


class Code(Model, frozen=True, kw_only=True):
    """A code of a code system: what the sender wrote, kept as written (D-21)."""

    code: str
    #: OID of the code system, or the name the message gave (``LN``, ``MetaDMPMSS``).
    system: str | None = None
    display: str | None = None


class Identifier(Model, frozen=True, kw_only=True):
    """An instance identifier: CDA II, HL7v2 CX, EI or XON-10."""

    #: The identifier itself; for a CDA II without extension the root stands here and `authority` is None.
    value: str
    #: Assigning authority: OID, or the namespace as written.
    authority: str | None = None
    #: Identifier type (HL7 table 0203: ``PI``, ``INS``, ``AN``…), where the format has one.
    type: str | None = None
