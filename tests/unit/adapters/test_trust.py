"""Whom a connection may speak for: every row by address, port and certificate; a token by its hash alone."""

import itertools

import pytest

from gateway.adapters import trust
from gateway.model.source import Certificate, Connection, Directory, Peer, Source

FINGERPRINT = "ab" * 32
SHOWN = Certificate(fingerprint=FINGERPRINT, names=("dns:sil.example", "ip:10.0.0.1"))


def peer(address: str = "10.1.2.3", port: int = 2575, certificate: Certificate | None = None, *, encrypted: bool = False) -> Peer:
    return Peer(address=address, port=port, certificate=certificate, is_encrypted=encrypted or certificate is not None)


def row(**changes: object) -> Connection:
    return Connection(**({"door": "mllp", "networks": ("10.0.0.0/8",), "sources": ("a",)} | changes))


@pytest.mark.parametrize(
    ("given", "who", "words"),
    [
        (row(), peer(), ""),
        (row(), peer("192.0.2.1"), "the address is in none of its networks"),
        (row(networks=("2001:db8::/32",)), peer("2001:db8::7"), ""),
        (row(networks=("10.1.2.3/32",)), peer("::ffff:10.1.2.3"), ""),
        (row(networks=("fe80::/10",)), peer("fe80::1%eth0"), ""),
        (row(door="http"), peer(), "it is for the door http"),
        (row(port=2575), peer(), ""),
        (row(port=2600), peer(), "it is for the port 2600"),
        (row(certificates=("dns:sil.example",)), peer(), "it needs a client certificate"),
        (row(certificates=("dns:sil.example",)), peer(certificate=SHOWN), ""),
        (row(certificates=("dns:ris.example", f"sha256:{FINGERPRINT}")), peer(certificate=SHOWN), ""),
        (row(certificates=("dns:ris.example",)), peer(certificate=SHOWN), "the certificate is none of those that it names"),
        (row(certificates=("ip:10.0.0.1",), networks=()), peer("192.0.2.1", certificate=SHOWN), ""),
        (row(certificates=("ip:10.0.0.1",)), peer("192.0.2.1", certificate=SHOWN), "the address is in none of its networks"),
        (row(), peer(certificate=SHOWN), ""),
        (row(networks=()), peer(certificate=SHOWN), "it names neither networks nor certificates"),
    ],
)
def test_a_row_admits_or_says_why_not(given: Connection, who: Peer, words: str) -> None:
    assert "; ".join(trust.why_not(given, "mllp", who)) == words
    assert trust.admitted([given], "mllp", who) == (() if words else ("a",))


def test_rows_add_up_and_name_each_source_once() -> None:
    rows = [row(sources=("a", "b")), row(sources=("b", "c"), port=2575), row(sources=("d",), port=1)]
    assert trust.admitted(rows, "mllp", peer()) == ("a", "b", "c")
    assert trust.admitted(rows, "http", peer()) == ()


def test_knocking_needs_an_address_that_a_certificate_could_admit() -> None:
    for networks, certificates, address, port in itertools.product(
        [(), ("10.0.0.0/8",)], [(), ("dns:sil.example",)], ["10.1.2.3", "192.0.2.1"], [2575, 1]
    ):
        given, who = row(networks=networks, certificates=certificates, port=2575), peer(address, port, encrypted=True)
        with_any = peer(address, port, Certificate(fingerprint="00" * 32, names=certificates))
        assert trust.may_knock([given], "mllp", who) == bool(trust.admitted([given], "mllp", with_any))
    assert not trust.may_knock([row()], "http", peer())


@pytest.mark.parametrize(
    ("who", "networks", "allowed"),
    [
        (peer("127.0.0.1"), (), True),
        (peer("::1"), (), True),
        (peer("::ffff:127.0.0.1"), (), True),
        (peer("10.1.2.3"), (), False),
        (peer("10.1.2.3"), ("10.0.0.0/8",), True),
        (peer("10.1.2.3"), ("10.2.0.0/16", "fd00::/8"), False),
        (peer("10.1.2.3", encrypted=True), (), True),
    ],
)
def test_who_may_do_without_tls(who: Peer, networks: tuple[str, ...], allowed: bool) -> None:
    assert trust.may_speak_plainly(who, networks) is allowed


def test_a_token_names_one_source_by_its_hash() -> None:
    def source(name: str, *tokens: str) -> Source:
        hashes = tuple(trust.token_hash(token) for token in tokens)
        return Source(id=name, establishment="e", application=name, facility="", tokens=hashes)

    directory = Directory(sources=(source("a", "one", "two"), source("b", "three"), source("c")))
    found = {token: trust.by_token(directory, token) for token in ("one", "two", "three", "", "ONE", trust.token_hash("one"))}
    assert {token: each.id for token, each in found.items() if each} == {"one": "a", "two": "a", "three": "b"}
