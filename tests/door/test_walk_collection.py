"""The Postman collection, walked without Postman: each request to a gateway on the sample configuration, then all once more."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import posting
from tests.harness.collection import PATIENT, REQUESTS, Request, committed
from tests.harness.door import Door

pytestmark = pytest.mark.door


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with Door(tmp_path_factory.mktemp("collection")) as opened:
        opened.verb("record", "open", "--ins", PATIENT, "--collected-by", "desk")
        yield opened


@pytest.fixture(scope="module")
def collection() -> dict[str, Any]:
    return committed()


def at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def walk(door: Door, items: list[dict[str, Any]]) -> list[str]:
    """Send what the collection's items hold; return what is not as the table says."""
    wrong, variables = [], {"baseUrl": "", "deposit": ""}
    for item, expected in zip(items, REQUESTS, strict=True):
        asked = item["request"]
        url = asked["url"]
        for name, value in variables.items():
            url = url.replace("{{" + name + "}}", value)
        headers = {header["key"]: header["value"] for header in asked["header"]}
        body = asked.get("body", {}).get("raw", "").encode()
        answer = posting.ask(door.process.http_port, asked["method"], url, body, headers)
        wrong += [f"{expected.name}: {fault}" for fault in faults(answer, expected, variables)]
        variables |= {variable: answer.headers.get(header.lower(), "") for variable, header in expected.keeps.items()}
    return wrong


def faults(answer: posting.Answer, expected: Request, variables: dict[str, str]) -> Iterator[str]:
    if answer.status not in expected.status:
        yield f"{answer.status} {answer.content[:600]!r}"
        return
    for path, value in expected.holds.items():
        if at(answer.json, path) != value:
            yield f"{path} is {at(answer.json, path)}"
    if expected.text.encode() not in answer.content:
        yield f"says nothing of {expected.text}"
    for header, variable in expected.same.items():
        if answer.headers[header.lower()] != variables[variable]:
            yield f"{header} is {answer.headers[header.lower()]}"


def test_each_request_is_answered_as_the_collection_says(door: Door, collection: dict[str, Any]) -> None:
    assert walk(door, collection["item"]) == []


def test_it_may_be_run_again(door: Door, collection: dict[str, Any]) -> None:
    assert walk(door, collection["item"]) == []
    assert walk(door, collection["item"]) == []


def test_each_item_has_its_tests(collection: dict[str, Any]) -> None:
    for item, expected in zip(collection["item"], REQUESTS, strict=True):
        (event,) = item["event"]
        script = "\n".join(event["script"]["exec"])
        assert event["listen"] == "test"
        assert script.count("pm.test(") == 1 + len(expected.holds) + bool(expected.text) + len(expected.same)
        assert item["name"] == expected.name


def test_a_wrong_answer_is_found(door: Door, collection: dict[str, Any]) -> None:
    """The walk is no decoration: another body under the same request fails it."""
    items = json.loads(json.dumps(collection["item"]))
    for item in items:
        if item["name"] == "A wrong content type":
            item["request"]["header"][-1]["value"] = "text/xml"
    assert any(fault.startswith("A wrong content type: ") for fault in walk(door, items))
