"""Value sets: which codes a coded element may hold."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.model.code import Code
from gateway.terminology.files import load

#: Every value set at hand, by the name of its file.
NAMES: Final = (
    "absent_or_unknown",
    "act_status",
    "advance_directive_type",
    "allergy_event_type",
    "author_specialty",
    "civility",
    "class_code",
    "condition_clinical_status",
    "confidentiality_code",
    "dispense_completeness",
    "dmp_document_flags",
    "document_status",
    "encounter_code",
    "encounter_type_header",
    "function_code",
    "gender",
    "healthcare_facility_type_code",
    "identifier_oids",
    "imaging_modality",
    "immunization_act_code",
    "laterality",
    "mime_type",
    "observation_interpretation",
    "participation_type",
    "practice_setting_code",
    "problem_type",
    "profession_non_ps",
    "reference_id_type_dmp",
    "relation_patient",
    "route_of_administration",
    "savoir_faire",
    "severity",
    "specimen_type",
    "subject_role",
    "substitution_code",
    "title",
    "type_code",
    "vital_sign",
)


class _Row(msgspec.Struct, frozen=True):
    code: str
    system: str
    display: str


class _File(msgspec.Struct, frozen=True):
    name: str
    source: tuple[str, ...]
    codes: tuple[_Row, ...]
    oid: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class ValueSet:
    """
    A value set: its codes in the publisher's order.

    Membership is by (system, code): the same code occurs in several systems with several meanings. A code's display is ignored.
    """

    #: As published.
    name: str
    oid: str | None
    revision: str | None
    #: Repository, file and revision that it was taken from.
    source: tuple[str, ...]
    #: (system, code) → the code with its display.
    codes: Mapping[tuple[str, str], Code]

    def __contains__(self, code: object) -> bool:
        """Tell whether a `Code` is one of the set."""
        return isinstance(code, Code) and (code.system, code.code) in self.codes

    def __iter__(self) -> Iterator[Code]:
        return iter(self.codes.values())

    def __len__(self) -> int:
        return len(self.codes)

    def get(self, system: str, code: str) -> Code | None:
        """Return the code with the publisher's display, or None if the set has no such code."""
        return self.codes.get((system, code))


@functools.cache
def table(name: str) -> ValueSet:
    """
    Return a value set, loaded once.

    Args:
        name: One of `NAMES`.

    Raises:
        LookupError: there is no such value set.
    """
    if name not in NAMES:
        raise LookupError(f"no value set {name}")
    file = load(name, _File)
    codes = {(row.system, row.code): Code(code=row.code, system=row.system, display=row.display) for row in file.codes}
    return ValueSet(name=file.name, oid=file.oid, revision=file.revision, source=file.source, codes=MappingProxyType(codes))
