"""The page of a record, found by what an operator typed."""

from pathlib import Path

from gateway.cli import console
from gateway.cli.patient_options import ROOTS
from gateway.cli.reading import reading
from gateway.model.patient import PatientId
from gateway.store.views import RecordPage
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.naming import UNSAID


def page_of(data: Path, patient: PatientId) -> RecordPage:
    """
    Return the page of the patient whom an identifier names.

    Args:
        data: The data directory.
        patient: As typed: an INS whose root was not said is looked up under each.

    Raises:
        SystemExit: nobody, or more than one, is known by it: it was told.
    """
    authorities = tuple(ROOTS.values()) if patient.authority == UNSAID else (patient.authority,)
    with reading(DataDirectory(data)) as reader:
        found = [page for each in authorities if (page := reader.record(each, patient.value, SystemClock().now()))]
    if len(found) > 1:
        console.fail("This number is known under several roots.", "Say which with --root.")
    if not found:
        console.fail("Nobody is known under this identifier.", "Open the record: `dmp-gateway record open --ins …`.")
    return found[0]
