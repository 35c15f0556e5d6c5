"""The management plug-in as an operator's verb asks it: every answer that is none is told, with what to do; no password in it."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from gateway.cli.doctor_management import management
from gateway.queue.rabbitmq.management import Management, NoManagement
from gateway.queue.rabbitmq.topology import PREFIX

URL = "amqp://someone:geheim@127.0.0.1:1/%2Fclinic"
NODE = {"name": "rabbit@a", "mem_used": 1, "mem_limit": 10**9, "disk_free": 10**10, "disk_free_limit": 10**7}
QUEUE = {"name": f"{PREFIX}.large", "members": ["a", "b", "c"], "online": ["a", "b", "c"], "effective_policy_definition": []}


class Answers(BaseHTTPRequestHandler):
    """Answers by path, with a status."""

    by_path: ClassVar[dict[str, tuple[int, Any]]] = {}
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        status, body = self.by_path.get(self.path.partition("?")[0], (404, {}))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Plugin = Callable[..., str]


@pytest.fixture
def plugin() -> Iterator[Plugin]:
    """Give what its paths answer; return its place."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def answering(**paths: tuple[int, Any]) -> str:
        queue = {"queues": (200, {"items": [QUEUE]}), "nodes": (200, [NODE]), "overview": (200, {"rabbitmq_version": "4.1.0"})}
        named = queue | paths
        Answers.by_path = {f"/api/{name}{'/%2Fclinic' if name == 'queues' else ''}": answer for name, answer in named.items()}
        Answers.asked = []
        return f"http://127.0.0.1:{server.server_port}"

    yield answering
    server.shutdown()
    server.server_close()
    thread.join()


def told(place: str) -> dict[str, tuple[str, str]]:
    """State, and text with advice, of each finding."""
    found = {each.subject: (each.state, f"{each.text} → {each.advice}") for each in management(URL, place)}
    assert "geheim" not in str(found)
    return found


def test_it_is_asked_with_the_broker_s_user_about_its_virtual_host(plugin: Plugin) -> None:
    found = told(plugin())
    assert {name: state for name, (state, _) in found.items()} == {
        "management": "ok", "node rabbit@a": "ok", "copies": "ok", "policies": "ok",
    }  # fmt: skip
    assert {authorization for _, authorization in Answers.asked} == {"Basic c29tZW9uZTpnZWhlaW0="}
    assert all("dmpgw" in path for path, _ in Answers.asked if "queues" in path)


@pytest.mark.parametrize(
    ("paths", "subject", "state", "words"),
    [
        ({"queues": (401, {})}, "management", "note", "set_user_tags"),
        ({"queues": (404, {})}, "management", "note", "no management plug-in"),
        ({"queues": (200, b"<html>")}, "management", "note", "no management plug-in"),
        ({"queues": (200, b"\xff")}, "management", "note", "no management plug-in"),
        ({"nodes": (401, {})}, "nodes", "note", "monitoring"),
        ({"nodes": (200, [NODE | {"running": False}])}, "node rabbit@a", "problem", "down"),
        ({"nodes": (200, [NODE | {"disk_free_alarm": True, "mem_alarm": True}])}, "node rabbit@a", "problem", "memory and disk"),
        ({"nodes": (200, [NODE | {"disk_free": 15 * 10**6}])}, "node rabbit@a", "note", "near its limit: disk"),
        ({"nodes": (200, [NODE | {"mem_used": 9 * 10**8}])}, "node rabbit@a", "note", "near its limit: memory"),
        ({"nodes": (200, [NODE | {"partitions": ["rabbit@b"]}])}, "node rabbit@a", "problem", "split"),
        ({"queues": (200, {"items": [QUEUE | {"online": ["a"]}]})}, "copies", "problem", "nothing moves"),
        ({"queues": (200, {"items": [QUEUE | {"online": ["a", "b"]}]})}, "copies", "note", "not all are up"),
        ({"queues": (200, {"items": [QUEUE | {"members": ["a"], "online": ["a"]}]})}, "copies", "note", "lost with that node"),
    ],
)  # fmt: skip
def test_what_is_not_well_is_told(
    plugin: Plugin, paths: dict[str, tuple[int, Any]], subject: str, state: str, words: str
) -> None:
    found = told(plugin(**paths))
    assert found[subject][0] == state and words in found[subject][1]


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        ({"message-ttl": 1000}, "problem"),
        ({"expires": 1000}, "problem"),
        ({"delivery-limit": 20}, "problem"),
        ({"delivery-limit": 2_000_000}, None),
        ({"consumer-timeout": 60_000}, "problem"),
        ({"consumer-timeout": 3_600_000}, None),
        ({"max-length": 10}, "note"),
        ({"max-length": 10_000_000}, None),
        ({"dead-letter-exchange": "x", "overflow": "drop-head"}, None),
    ],
)
def test_a_policy_that_goes_against_the_layout_is_told(plugin: Plugin, policy: dict[str, Any], state: str | None) -> None:
    queue = QUEUE | {"effective_policy_definition": policy, "policy": "theirs"}
    found = told(plugin(queues=(200, {"items": [queue]})))
    assert found.get("policy theirs", (None,))[0] == state
    assert ("policies" in found) is (state is None)


@pytest.mark.parametrize("place", ["ftp://x", "http://", "http://u:p@host:1", "http://host:99999", "host:15672"])
def test_a_place_that_is_none_is_told_and_not_repeated(place: str) -> None:
    with pytest.raises(NoManagement) as told_of:
        Management(URL, place)
    assert place not in str(told_of.value) and "management_url" in str(told_of.value)


def test_without_a_place_it_is_beside_the_broker() -> None:
    assert Management(URL).where == "127.0.0.1:15672"
    assert Management("amqps://someone:geheim@[::1]:1/").where == "::1:15671"
    with pytest.raises(NoManagement, match="refused") as away:
        Management(URL, "http://127.0.0.1:1").queues()
    assert "rabbitmq-plugins enable" in away.value.advice
