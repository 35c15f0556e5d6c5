"""
What a failure of the database means: try again, unknown, or the deposit's own fault.

The text of a driver's exception holds values (`DETAIL: Key (value)=(…)`): only its SQLSTATE and a constraint's name leave this
module, and no exception of the driver leaves the store.
"""

import enum
from types import MappingProxyType
from typing import Final

import psycopg

from gateway.store.port import Contended, Stalled, Transient


class Fate(enum.StrEnum):
    """What became of a transaction that failed."""

    #: Nothing was written, and it says nothing about the data: the same batch again.
    TRANSIENT = "transient"
    #: It may have been committed: the same batch again, the receipts tell (D-6).
    AMBIGUOUS = "ambiguous"
    #: Nothing was written, and it would fail again: halve the batch, park what is to blame (D-13).
    PERMANENT = "permanent"


class Ambiguous(Transient):
    """The connection was lost while the COMMIT was under way."""


class NotApplicable(Exception):
    """A statement that can never succeed with these values; names the SQLSTATE and the constraint, never a value."""


#: SQLSTATE, or its class (two characters), to what became of the transaction; the longer key wins.
FATES: Final = MappingProxyType(
    {
        "08": Fate.TRANSIENT,  # connection
        "08007": Fate.AMBIGUOUS,  # transaction resolution unknown
        "25006": Fate.TRANSIENT,  # a standby: another server has become the primary
        "25P03": Fate.TRANSIENT,  # idle in transaction for too long
        "25P04": Fate.TRANSIENT,  # transaction for too long
        "28": Fate.TRANSIENT,  # authorization: a password was changed
        "3D": Fate.TRANSIENT,  # the database is not there
        "40": Fate.TRANSIENT,  # serialization, deadlock
        "40002": Fate.PERMANENT,  # a deferred constraint
        "40003": Fate.AMBIGUOUS,  # statement completion unknown
        "42501": Fate.TRANSIENT,  # a right was taken away: it would park every deposit
        "53": Fate.TRANSIENT,  # disk, memory, connections
        "55": Fate.TRANSIENT,  # lock timeout, object in use
        "57": Fate.TRANSIENT,  # cancelled, shutting down, starting up
        "58": Fate.TRANSIENT,  # system
        "F0": Fate.TRANSIENT,  # configuration
        "XX": Fate.TRANSIENT,  # a damaged file would park every deposit
    }
)

#: Another transaction was in the way: worth another try at once.
CONTENTION: Final = frozenset({"40001", "40P01", "55P03"})

#: The server ended a transaction in which the gateway said nothing for too long.
STALLED: Final = frozenset({"25P03", "25P04"})

#: Somebody else committed the same receipt, patient or statement meanwhile: what they wrote is seen by another try.
OURS: Final = frozenset({"receipt_pkey", "identifier_pkey", "statement_id_key", "source_form_pkey", "refusal_pkey"})

#: Losing the connection, or the server's shutdown, while COMMIT is under way tells nothing about its outcome.
_LOST_AT_COMMIT: Final = ("08", "57", "58")


def fate(failure: psycopg.Error, *, committing: bool) -> Fate:
    """
    Tell what became of a transaction.

    Args:
        failure: What the driver raised.
        committing: Whether COMMIT was under way.
    """
    code = failure.sqlstate
    if code is None:
        # Values that the driver itself could not send are the data's; all else without a code is a lost connection.
        if isinstance(failure, psycopg.DataError | psycopg.ProgrammingError | psycopg.NotSupportedError):
            return Fate.PERMANENT
        return Fate.AMBIGUOUS if committing else Fate.TRANSIENT
    if committing and code.startswith(_LOST_AT_COMMIT):
        return Fate.AMBIGUOUS
    if code == "23505" and failure.diag.constraint_name in OURS:
        return Fate.TRANSIENT
    return FATES.get(code) or FATES.get(code[:2]) or Fate.PERMANENT


def told(failure: psycopg.Error) -> str:
    """Return what may be said of a failure: its SQLSTATE or class, and the constraint's name."""
    code = failure.sqlstate or type(failure).__name__
    constraint = failure.diag.constraint_name
    return f"{code} {constraint}" if constraint else code


#: What a server or the client library says of a connection that did not come about, in the languages that it is met in, and what
#: may be said of it: its own words name users, hosts and addresses.
_UNREACHED: Final = (
    ("refused", "nobody listens there; is the server running, and is it this port?"),
    ("could not translate host name", "no machine of that name is known"),
    ("failed to resolve host", "no machine of that name is known"),
    ("password authentication failed", "it does not take this user with this password"),
    ("authentification par mot de passe échouée", "it does not take this user with this password"),
    ("no password supplied", "it asks for a password: PGPASSFILE or ~/.pgpass"),
    ("pg_hba.conf", "its pg_hba.conf has no line that lets this user in from here"),
    ("timeout expired", "no answer in time; is a firewall in between?"),
    ("timed out", "no answer in time; is a firewall in between?"),
    ("starting up", "it is starting up, or going down"),
    ("shutting down", "it is starting up, or going down"),
    ("too many clients", "it has no connection left: raise max_connections"),
    ("connection slots", "it has no connection left: raise max_connections"),
    ("SSL", "its TLS and the sslmode here do not fit"),
    ("certificate", "its TLS and the sslmode here do not fit"),
    ("database", "there is no such database, or this user may not use it"),
    ("role", "there is no such user"),
)


#: What an operator can do something about, by SQLSTATE.
_EXPLAINED: Final = MappingProxyType(
    {
        "25006": "it only lets itself be read: a standby, or set read-only",
        "42501": "this user has not the rights; as the owner: GRANT dmp_gateway_write, dmp_gateway_read, dmp_gateway_erase TO it",
        "53100": "its disk is full",
        "53300": "it has no connection left: raise max_connections",
        "57P01": "it is going down",
        "57P03": "it is starting up, or going down",
    }
)


def explained(told: str) -> str:
    """Return what was told of a failure, with words where an operator can do something about it."""
    return f"{told}, {_EXPLAINED[told]}" if told in _EXPLAINED else told


def unreached(failure: psycopg.Error) -> str:
    """Return why a connection did not come about: words of ours, or what `told` returns."""
    if isinstance(failure, psycopg.ProgrammingError):
        return "it is not written like postgresql://user@host:5432/database"
    # The names that it gives are quoted: a user may be called `role`.
    said = "".join(str(failure).split('"')[::2])
    return next((words for found, words in _UNREACHED if found in said), told(failure))


def failed(failure: psycopg.Error, *, committing: bool = False) -> Exception:
    """Return the exception of the house for a failure of the driver: raise it `from None`."""
    text = told(failure)
    match fate(failure, committing=committing):
        case Fate.AMBIGUOUS:
            return Ambiguous(text)
        case Fate.PERMANENT:
            return NotApplicable(text)
        case Fate.TRANSIENT if failure.sqlstate in CONTENTION or failure.sqlstate == "23505":
            return Contended(text)
        case Fate.TRANSIENT if failure.sqlstate in STALLED:
            return Stalled(text)
        case _:
            return Transient(text)
