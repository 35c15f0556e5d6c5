"""The sabotages of what is read of a FHIR deposit. Numbers of our own, as in `table`."""

from typing import Final

from tests.sabotage.sabotage import Sabotage, breaking

_FHIR: Final = "gateway/mappers/fhir"
_JSON: Final = "tests/unit/fhir/test_json.py"
_VALIDATE: Final = "tests/unit/fhir/test_validate.py"
_IDENTITY: Final = "tests/unit/fhir/test_identity.py"
_PROVIDE: Final = "tests/unit/fhir/test_provide.py"

RESOURCES: Final[tuple[Sabotage, ...]] = (
    breaking(
        "80",
        "of a key that stands twice the last one wins",
        f"{_FHIR}/json.py",
        "if len(found) != len(pairs):",
        "if False:",
        _JSON,
    ),
    breaking(
        "81",
        "a code outside its required value set passes",
        f"{_FHIR}/validate.py",
        "elif codes is not None and value not in codes:",
        "elif False:",
        _VALIDATE,
    ),
    breaking(
        "82",
        "the hash of an attachment is not compared",
        f"{_FHIR}/content.py",
        "if written is not None and not _is_hash(written, content):",
        "if False:",
        _PROVIDE,
    ),
    breaking(
        "83",
        "VALI is a qualified identity in every list of statuses",
        f"{_FHIR}/identity.py",
        '(IDENTITY_STATUS, "VALI"): "PROV",',
        '(IDENTITY_STATUS, "VALI"): QUALIFIED,',
        _IDENTITY,
    ),
    breaking(
        "84",
        "an identity without a status is trusted from any source",
        f"{_FHIR}/subject.py",
        "is_qualified = Grant.IDENTITY_ASSERTED in self._source.grants",
        "is_qualified = True",
        _IDENTITY,
    ),
    breaking(
        "85",
        "the billing number of an insured person is an INS",
        f"{_FHIR}/identity.py",
        'frozenset({"NH", "INS-C", "NDP", "VN", "AN"})',
        'frozenset({"INS-C", "NDP", "VN", "AN"})',
        _IDENTITY,
    ),
    breaking(
        "86",
        "a securityLabel that nobody knows is passed over",
        f"{_FHIR}/labels.py",
        'findings.add("FLAG_INVALID", place, element if found',
        'findings.warn("FLAG_INVALID", place, element if found',
        _PROVIDE,
    ),
    breaking(
        "87",
        "masterIdentifier may be the id of another document",
        f"{_FHIR}/deposit.py",
        "if known is not None and named is not None and not same_id(named, entry.unique_id):",
        "if False:",
        _PROVIDE,
    ),
)
