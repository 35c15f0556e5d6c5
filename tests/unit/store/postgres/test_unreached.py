"""Why a database cannot be reached: said in words to act on, never in the server's own, which name users and hosts."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway.store.postgres.connection import DatabaseUnusable, opened
from gateway.store.postgres.errors import unreached
from tests.harness import postgres


def why(url: str) -> str:
    with pytest.raises(DatabaseUnusable) as caught, opened(url):
        pass
    return str(caught.value)


def test_a_server_says_why() -> None:
    url = postgres.shared().admin
    port = conninfo_to_dict(url)["port"]
    here = f"on 127.0.0.1:{port} cannot be used:"
    assert (
        why(make_conninfo(url, dbname="role")) == f"database role {here} there is no such database, or this user may not use it"
    )
    assert why(make_conninfo(url, user="database", password="geheim")).endswith("there is no such user")
    assert why(make_conninfo(url, port=1)).endswith(
        "127.0.0.1:1 cannot be used: nobody listens there; is the server running, and is it this port?"
    )
    assert why(make_conninfo(url, sslmode="require")).endswith("its TLS and the sslmode here do not fit")
    assert why("mysql://someone:geheim@host/dmp") == (
        "DATABASE_URL cannot be used: it is not written like postgresql://user@host:5432/database"
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('FATAL:  password authentication failed for user "refused"', "does not take this user"),
        ("FATAL:  authentification par mot de passe échouée pour l'utilisateur « eva »", "does not take this user"),
        (
            'FATAL:  no pg_hba.conf entry for host "10.1.2.3", user "eva", database "dmp"',
            "no line that lets this user in",
        ),
        ("fe_sendauth: no password supplied", "PGPASSFILE"),
        ("connection timeout expired", "firewall"),
        ("FATAL:  the database system is starting up", "starting up"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ('could not translate host name "database" to address: Name or service not known', "no machine of that name"),
        ("something else altogether of eva", "OperationalError"),
    ],
)
def test_what_it_says_is_put_in_words_of_ours(said: str, told: str) -> None:
    found = unreached(psycopg.OperationalError(said))
    assert told in found and "eva" not in found and "10.1.2.3" not in found
