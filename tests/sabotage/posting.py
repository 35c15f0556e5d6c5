"""The sabotages of what comes alone over HTTP, and of what is shown to who sent it. Numbers of our own, as in `table`."""

from typing import Final

from tests.sabotage.sabotage import Sabotage, breaking

_SUBMISSION: Final = "gateway/mappers/cda/submission.py"
_READ: Final = "tests/unit/cda/test_submission.py"
_SHOWN: Final = "tests/unit/web/test_deposits_route.py"

POSTING: Final[tuple[Sabotage, ...]] = (
    breaking(
        "70",
        "a CDA alone is trusted from any source",
        _SUBMISSION,
        "is_qualified=Grant.IDENTITY_ASSERTED in of.source.grants,",
        "is_qualified=True,",
        _READ,
    ),
    breaking(
        "71",
        "a sender that is named beside a CDA is not tested for oppositions",
        _SUBMISSION,
        "named = establishments.named(source, [sender], [entry.custodian], directory)",
        "named = establishments.named(source, [], [entry.custodian], directory)",
        _READ,
    ),
    breaking(
        "72",
        "a second recordTarget may be another patient's",
        _SUBMISSION,
        "several = [(0, cda)] if len(cda.patients) > 1 else []",
        "several = []",
        _READ,
    ),
    breaking(
        "73",
        "a deposit is shown to whoever has its id",
        "gateway/web/deposits.py",
        "if issued is None or issued.source != source.id:",
        "if issued is None:",
        _SHOWN,
    ),
    breaking(
        "74",
        "an id that nobody gave waits for ever",
        "gateway/web/deposits.py",
        "if self._clock.now() - issued.issued_at > self._keep:",
        "if not self._keep:",
        _SHOWN,
    ),
    breaking(
        "75",
        "what is declared beside a CDA is passed over where it is not understood",
        "gateway/mappers/cda/declared.py",
        'findings.add("FIELD_INVALID", Place(path=_shown(keys)), "no such name")',
        "pass",
        "tests/unit/cda/test_declared.py",
    ),
)
