"""
Who may ask, seen from outside the house: every route of the program, asked by strangers who say that they are somebody else.

Independent of the door's own tests: the table is the one that the program builds, and the rules are written down here once more.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.adapters.http import fhir, routes
from gateway.adapters.http.application import PEER, Application, check
from gateway.adapters.http.call import Reply
from gateway.adapters.http.caller import Trust
from gateway.adapters.http.engine import Engine
from gateway.adapters.http.fhir import FhirRoutes
from gateway.adapters.http.registry import Access, Answered, Registry, Route, Style, Unruled
from gateway.adapters.trust import token_hash
from gateway.config.load import load
from gateway.model.source import Connection, Grant, Peer
from gateway.web.deposits import DepositRoutes
from tests.harness.breach import Breach
from tests.harness.site import Hands, Still
from tests.unit.mllp.doubles import CountedReceipts

#: What whoever connects may see, and what a monitor may; everything else is for sources alone.
FOR_ALL = {"openapi", "fhir.metadata"}
FOR_MONITORS = {"healthz", "readyz", "metrics"}

STRANGERS = (
    "203.0.113.9",
    "10.0.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "8.8.8.8",
    "2001:db8::1",
    "::ffff:203.0.113.9",
    "0.0.0.0",
)
TOKEN = "dmpgw_a-token-of-a-source"
#: Nothing that a request says of itself makes it somebody.
SPOOFS = {
    "nothing": {},
    "a source": {"X-DMP-Source": "sil-valmont"},
    "forwarded": {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
    "forwarded, by other names": {"X-Client-IP": "127.0.0.1", "True-Client-IP": "127.0.0.1", "CF-Connecting-IP": "127.0.0.1"},
    "a host": {"Host": "127.0.0.1", "X-Forwarded-Host": "localhost"},
    "a certificate": {
        "X-SSL-Client-Cert": "x",
        "X-Client-Certificate": "x",
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "X-Client-DN": "CN=sil",
    },
    "a user": {"Remote-User": "sil-valmont", "X-Remote-User": "sil-valmont", "X-User": "admin"},
    "basic": {"Authorization": "Basic c2lsLXZhbG1vbnQ6eA=="},
    "an empty token": {"Authorization": "Bearer "},
    "no token": {"Authorization": "Bearer"},
    "a wrong token": {"Authorization": f"Bearer {TOKEN}x"},
    "half a token": {"Authorization": f"Bearer {TOKEN[:-1]}"},
    "a token in capitals": {"Authorization": f"Bearer {TOKEN.upper()}"},
    "the hash of a token": {"Authorization": f"Bearer {token_hash(TOKEN)}"},
    "a token of another scheme": {"Authorization": f"Token {TOKEN}"},
    "two tokens": {"Authorization": f"Bearer x, Bearer {TOKEN}"},
    "a token in another header": {"X-Auth-Token": TOKEN, "Cookie": f"token={TOKEN}", "Proxy-Authorization": f"Bearer {TOKEN}"},
    "a wildcard": {"Authorization": "Bearer *", "X-DMP-Source": "*"},
    "SQL": {"Authorization": "Bearer ' OR '1'='1", "X-DMP-Source": "' OR '1'='1"},
    "a long token": {"Authorization": "Bearer " + "x" * 20_000},
    "another method": {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET"},
    "another path": {"X-Original-URL": "/healthz", "X-Rewrite-URL": "/fhir/metadata"},
}


class Health:
    def live(self) -> tuple[bool, str]:
        return True, "CANARI"

    ready = live

    def metrics(self) -> tuple[str, bytes]:
        return "text/plain", b"CANARI"


@pytest.fixture(scope="module")
def hands() -> Hands:
    return Hands()


@pytest.fixture(scope="module")
def application(hands: Hands) -> Iterator[Application]:
    settings = load(None, {}, {}).settings
    given = [
        msgspec.structs.replace(source, tokens=(token_hash(TOKEN),)) if source.id == "sil-valmont" else source
        for source in settings.directory.sources
    ]
    directory = msgspec.structs.replace(settings.directory, sources=tuple(given))
    loop = asyncio.new_event_loop()
    engine = Engine(
        deposits=hands, events=hands, receipts=CountedReceipts(), clock=Still(), environment="test", loop=loop, wait_seconds=1
    )
    more = (
        *FhirRoutes(engine, directory, version="1", started_at=datetime(2026, 1, 1, tzinfo=UTC)).routes(),
        *DepositRoutes(lambda: pytest.fail("a stranger reached the record"), lambda _: None, Still(), timedelta(days=1)).routes(),
    )
    sources = tuple(source.id for source in directory.sources)
    trust = Trust(
        door="http",
        directory=directory,
        connections=(Connection(door="http", networks=("127.0.0.0/8",), sources=sources),),
    )
    table = built(engine, directory, more)
    yield Application(table, trust, body_limit=1000, renderers={Style.FHIR: fhir.render})
    loop.close()


def built(engine: Engine, directory, more: tuple[Route, ...]) -> Registry:
    """The table of the program; routes that it has by itself already are not given twice."""
    alone = routes.table(engine, directory, Health(), (), "1")
    known = {route.name for route in alone.routes}
    return routes.table(engine, directory, Health(), [route for route in more if route.name not in known], "1")


def asked(application: Application, route: Route, headers: dict[str, str], address: str) -> tuple[int, bytes]:
    path = route.path.replace("{id}", "01KAJX9M3V8Q2R5T7W1Y4Z-ris-valmont-9K2F7Q1X")
    client = application.flask.test_client(use_cookies=False)
    kind = {"Content-Type": route.consumes[0]} if route.consumes else {}
    answer = client.open(
        path,
        method=route.method,
        data=b"x",
        headers={**kind, **headers},
        environ_overrides={PEER: Peer(address=address, port=8080), "REMOTE_ADDR": "127.0.0.1"},
    )
    return answer.status_code, answer.get_data()


def test_the_rules_are_those_that_are_written_here(application: Application) -> None:
    rules = {route.name: route.access for route in application._registry.routes}
    assert {name for name, access in rules.items() if access is Access.PUBLIC} == FOR_ALL
    assert {name for name, access in rules.items() if access is Access.MONITOR} == FOR_MONITORS
    assert {access for name, access in rules.items() if name not in FOR_ALL | FOR_MONITORS} <= {Access.SOURCE, Access.CONNECTION}
    assert len(rules) >= 11


def test_no_stranger_is_taken_for_anybody(application: Application, hands: Hands) -> None:
    wrong, cells = [], 0
    for route in application._registry.routes:
        if route.access is Access.PUBLIC:
            continue
        for address in STRANGERS:
            for name, headers in SPOOFS.items():
                cells += 1
                status, answer = asked(application, route, headers, address)
                if status not in {401, 403} or b"CANARI" in answer or b"valmont" in answer.lower():
                    wrong.append(f"{route.name} from {address} with {name}: {status}")
    if wrong or hands.published or hands.reported:
        raise Breach("\n".join(wrong) or "something was handed over")
    assert cells >= 1_500


def test_its_token_makes_a_stranger_the_source_and_no_other(application: Application) -> None:
    for route in application._registry.routes:
        if route.access is Access.SOURCE and Grant.DEPOSIT in route.grants:
            assert asked(application, route, {"Authorization": f"Bearer {TOKEN}"}, STRANGERS[0])[0] not in {401, 403}, route.name
            other = {"Authorization": f"Bearer {TOKEN}", "X-DMP-Source": "ris-valmont"}
            assert asked(application, route, other, STRANGERS[0])[0] in {400, 401, 403}, route.name


def test_a_monitor_is_no_source(application: Application) -> None:
    """This machine may watch; a route for sources still asks which one."""
    for route in application._registry.routes:
        if route.access is not Access.CONNECTION:  # there the message itself says it
            status, _ = asked(application, route, {}, "127.0.0.1")
            assert (status == 200) == (route.access in {Access.MONITOR, Access.PUBLIC}), route.name


def row(**more: object) -> Route:
    told = {"method": "GET", "path": "/x", "name": "x", "summary": "X.", "access": Access.PUBLIC}
    good = (Answered(status=200, text="Yes."),)
    return Route(**{**told, "handler": lambda call: Reply(), "answers": good, **more})


@pytest.mark.parametrize(
    "more",
    [
        {"access": None},
        {"access": ""},
        {"access": "public-ish"},
        {"access": True},
        {"grants": (Grant.DEPOSIT,)},
        {"access": Access.MONITOR, "grants": (Grant.DEPOSIT,)},
        {"access": Access.CONNECTION, "grants": (Grant.DEPOSIT,)},
    ],
)
def test_a_route_without_a_rule_or_with_one_that_says_nothing_does_not_start(more: dict[str, object]) -> None:
    with pytest.raises(Unruled):
        Registry((row(**more),))


def test_a_route_that_is_not_in_the_table_does_not_start() -> None:
    table = Registry((row(),))
    trust = Trust(door="http", directory=load(None, {}, {}).settings.directory, connections=())
    application = Application(table, trust, body_limit=1)
    check(application.flask, table)
    application.flask.add_url_rule("/hidden", endpoint="hidden", view_func=lambda: "")
    with pytest.raises(Unruled):
        check(application.flask, table)
