"""What every test may ask for."""

import os
from pathlib import Path

import hypothesis
import pytest

from tests import again, not_run, sweep
from tests.harness.pki import Pki

ROOT = Path(__file__).resolve().parent.parent

# A slow machine is no failure: pytest-timeout bounds a test, hypothesis does not.
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "proof",
    deadline=None,
    print_blob=True,
    max_examples=10_000,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# No test, and no process that one starts, ever uses a broker or a database of somebody's: see tests/harness/postgres.py.
for _name in ("AMQP_URL", "AMQP_URL_FILE", "DATABASE_URL", "DATABASE_URL_FILE"):
    os.environ.pop(_name, None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """Whatever does not run, or ran again, is named at the end; so is a log that names a patient."""
    not_run.pytest_configure(config)
    again.pytest_configure(config)
    sweep.pytest_configure(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A scene that did not come about is set again."""
    again.pytest_collection_modifyitems(items)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def pki() -> Pki:
    """Authorities of servers and clients, and a certificate of each."""
    return Pki.make()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The test documents that nobody in this project wrote: `cda/`, `hl7v2/`, `fhir/`, `hostile/`, `xsd/`."""
    named = os.environ.get("DMP_CORPUS")
    folder = Path(named) if named else ROOT.parent / "shared" / "corpus"
    if folder.is_dir():
        return folder.resolve()
    if named:
        pytest.fail(f"DMP_CORPUS names {named}, which is no folder", pytrace=False)
    pytest.skip(
        "no corpus: put the public example documents (ANS: TestContenuCDA-3-0, hl7V2-exemples) into a folder "
        "and name it, DMP_CORPUS=/path/to/corpus make test"
    )
