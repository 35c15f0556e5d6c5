"""The sabotages of what is stated by a Consent, of FHIR documents and of what is answered. Numbers of our own, as in `table`."""

from typing import Final

from tests.sabotage.sabotage import Sabotage, breaking

_FHIR: Final = "gateway/mappers/fhir"
_CONSENT: Final = "tests/unit/fhir/test_consent.py"

CONSENTS: Final[tuple[Sabotage, ...]] = (
    breaking(
        "90",
        "whoever names the patient as performer speaks for the patient",
        f"{_FHIR}/consent.py",
        "is_patients = set(directory.kinds(source)) == {SourceKind.PATIENT}",
        'is_patients = any(each.text("type") == "Patient" for each in consent.all("performer"))',
        _CONSENT,
    ),
    breaking(
        "91",
        "an establishment states for another one",
        f"{_FHIR}/consent.py",
        "if target.scope is Scope.ESTABLISHMENT and target.value != own:",
        "if False:",
        _CONSENT,
    ),
    breaking(
        "92",
        "a restriction of a Consent that cannot be kept is passed over",
        f"{_FHIR}/provision.py",
        "        if provision.has(name):\n",
        "        if False:\n",
        _CONSENT,
    ),
    breaking(
        "93",
        "whoever may state an opposition may lift it",
        f"{_FHIR}/consent.py",
        "        if GRANTS[one.position] not in source.grants:\n",
        "        if Grant.STATE_OPPOSITION not in source.grants:\n",
        _CONSENT,
    ),
    breaking(
        "94",
        "a Consent that is not active counts",
        f"{_FHIR}/consent.py",
        "    if status != _ACTIVE:\n",
        "    if False:\n",
        _CONSENT,
    ),
    breaking(
        "95",
        "a preliminary FHIR document is deposited",
        f"{_FHIR}/document_bundle.py",
        'if composition.text("status") not in _FINAL:',
        "if False:",
        "tests/unit/fhir/test_document_bundle.py",
    ),
    breaking(
        "96",
        "a document that comes again has another address",
        f"{_FHIR}/response.py",
        "return one.first or outcome_.first or outcome_.receipt",
        "return outcome_.receipt",
        "tests/unit/fhir/test_routes.py",
    ),
)
