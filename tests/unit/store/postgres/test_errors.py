"""What may be tried again, what nobody knows, what is the deposit's fault; and that no value leaves with an error (D-9, D-13)."""

import random

import psycopg
import pytest

from gateway.store.port import Transient
from gateway.store.postgres.errors import FATES, Ambiguous, Contended, Fate, NotApplicable, failed, fate
from tests.contract.store.backends import Postgres
from tests.strategies.records import ALICE

#: SQLSTATE, and what became of the transaction before and during COMMIT.
CASES = {
    "08006": (Fate.TRANSIENT, Fate.AMBIGUOUS),
    "08007": (Fate.AMBIGUOUS, Fate.AMBIGUOUS),
    "25006": (Fate.TRANSIENT, Fate.TRANSIENT),
    "25P03": (Fate.TRANSIENT, Fate.TRANSIENT),
    "28P01": (Fate.TRANSIENT, Fate.TRANSIENT),
    "40001": (Fate.TRANSIENT, Fate.TRANSIENT),
    "40002": (Fate.PERMANENT, Fate.PERMANENT),
    "40003": (Fate.AMBIGUOUS, Fate.AMBIGUOUS),
    "40P01": (Fate.TRANSIENT, Fate.TRANSIENT),
    "42501": (Fate.TRANSIENT, Fate.TRANSIENT),
    "53100": (Fate.TRANSIENT, Fate.TRANSIENT),
    "53300": (Fate.TRANSIENT, Fate.TRANSIENT),
    "55P03": (Fate.TRANSIENT, Fate.TRANSIENT),
    "57014": (Fate.TRANSIENT, Fate.AMBIGUOUS),
    "57P01": (Fate.TRANSIENT, Fate.AMBIGUOUS),
    "57P03": (Fate.TRANSIENT, Fate.AMBIGUOUS),
    "58030": (Fate.TRANSIENT, Fate.AMBIGUOUS),
    "XX001": (Fate.TRANSIENT, Fate.TRANSIENT),
    "22001": (Fate.PERMANENT, Fate.PERMANENT),
    "22021": (Fate.PERMANENT, Fate.PERMANENT),
    "23502": (Fate.PERMANENT, Fate.PERMANENT),
    "23505": (Fate.PERMANENT, Fate.PERMANENT),
    "42P01": (Fate.PERMANENT, Fate.PERMANENT),
    "54000": (Fate.PERMANENT, Fate.PERMANENT),
}


@pytest.mark.parametrize("code", CASES)
def test_a_sqlstate_tells_what_became_of_the_transaction(code: str) -> None:
    failure = psycopg.errors.lookup(code)() if code in psycopg.errors._sqlcodes else psycopg.Error()
    assert failure.sqlstate == code
    assert (fate(failure, committing=False), fate(failure, committing=True)) == CASES[code]


def test_every_row_of_the_table_is_a_case() -> None:
    assert all(any(case.startswith(row) for case in CASES) for row in FATES if row not in {"3D", "F0", "25P04"})


@pytest.mark.parametrize(
    ("failure", "before", "during"),
    [
        (psycopg.OperationalError(), Transient, Ambiguous),
        (psycopg.InterfaceError(), Transient, Ambiguous),
        (psycopg.DataError(), NotApplicable, NotApplicable),
        (psycopg.errors.DeadlockDetected(), Contended, Contended),
        (psycopg.errors.LockNotAvailable(), Contended, Contended),
        (psycopg.errors.DiskFull(), Transient, Transient),
        (psycopg.errors.NumericValueOutOfRange(), NotApplicable, NotApplicable),
    ],
)
def test_the_house_raises_its_own(failure: psycopg.Error, before: type, during: type) -> None:
    assert [type(failed(failure, committing=committing)) for committing in (False, True)] == [before, during]


def test_no_value_leaves_with_an_error(bench: Postgres) -> None:
    with bench._connected() as connection, pytest.raises(psycopg.errors.UniqueViolation) as caught:
        connection.execute("INSERT INTO identifier VALUES (%s, %s, 1, '', '')", ALICE.key)
    assert ALICE.value in str(caught.value)  # this is why
    told = failed(caught.value)
    assert isinstance(told, Contended) and str(told) == "23505 identifier_pkey"


def test_a_text_that_no_column_holds_is_the_deposits_fault(bench: Postgres) -> None:
    before = bench.tables()
    with pytest.raises(NotApplicable):
        bench.send(documents=(("1.2.\0", b"x"),))
    # No longer than a key of an index may be, however well it shrinks.
    long = "".join(random.Random(1).choices("0123456789.abcdefghijklmnopqrstuvwxyz", k=20_000))
    with pytest.raises(NotApplicable, match="54000"):
        bench.send(documents=((long, b"x"),))
    assert bench.tables() == before
