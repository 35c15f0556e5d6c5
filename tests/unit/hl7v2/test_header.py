"""MSH: what it says, what it must say, and what is left of it when the message is refused."""

import time
import tracemalloc

import pytest

from gateway.mappers.hl7v2 import header
from gateway.mappers.hl7v2.dialect import Limits
from gateway.mappers.hl7v2.header import HEAD_BYTES, VERSIONS, digest, read_head, read_header, salvage
from gateway.model.problem import Unreadable

FIELDS = {
    3: "GAM^1.2.3^ISO", 4: "CHU-É&X", 5: "DMP", 6: "GW", 7: "20260303160000+0100", 9: "ADT^A01^ADT_A01", 10: " 0042",
    11: "P^T", 12: "2.5^FRA^2.11", 15: "AL", 16: "NE", 17: "FRA", 18: "8859/15", 21: "2.11^ IHE_FRANCE-2.11-PAM ~~1.1^X",
}  # fmt: skip


def msh(changes: dict[int, str] | None = None, codec: str = "iso8859-15") -> bytes:
    fields = {**FIELDS, **(changes or {})}
    return ("MSH|^~\\&|" + "|".join(fields.get(n, "") for n in range(3, 22)) + "\rPID|1\r").encode(codec)


def refused(payload: bytes, default: str | None = None) -> list[str]:
    with pytest.raises(Unreadable) as caught:
        read_header(payload, default)
    return [f"{problem.code} {problem.place.path if problem.place else ''}".strip() for problem in caught.value.problems]


def test_a_header() -> None:
    header, message = read_header(msh())
    assert (header.application, header.facility) == ("GAM", "CHU-É&X")
    assert (header.receiving_application, header.receiving_facility) == ("DMP", "GW")
    assert header.time == "20260303160000+0100"
    assert (header.type_code, header.trigger, header.structure) == ("ADT", "A01", "ADT_A01")
    assert header.message_type == "ADT^A01"
    assert header.control_id == " 0042"
    assert (header.processing_id, header.version, header.country) == ("P", "2.5", "FRA")
    assert (header.accept_ack, header.application_ack) == ("AL", "NE")
    assert header.charset == "8859/15"
    assert header.profiles == ("2.11^IHE_FRANCE-2.11-PAM", "1.1^X")
    assert header.components[3] == ("GAM", "1.2.3", "ISO")
    assert header.components[12] == ("2.5", "FRA", "2.11")
    assert [segment.name for segment in message.segments] == ["MSH", "PID"]
    assert header.problems == ()


def test_an_event_of_two_components() -> None:
    header, _ = read_header(msh({9: "ADT^A01", 12: "2.3"}))
    assert (header.message_type, header.structure) == ("ADT^A01", "")


def test_a_type_without_event() -> None:
    assert read_header(msh({9: "ACK"}))[0].message_type == "ACK"


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_versions(version: str) -> None:
    assert read_header(msh({12: version}))[0].version == version
    assert read_header(msh({12: f" {version}^FRA"}))[0].version == version


@pytest.mark.parametrize("version", ["9.9", "2.2", "2.1", "2", "25", "2.5a", "3.0", "^FRA"])
def test_other_versions_are_refused(version: str) -> None:
    expected = "FIELD_REQUIRED MSH[1]-12" if version.startswith("^") else "VERSION_UNSUPPORTED MSH[1]-12"
    assert refused(msh({12: version})) == [expected]


@pytest.mark.parametrize("number", [9, 10, 12])
def test_required_fields(number: int) -> None:
    assert refused(msh({number: ""})) == [f"FIELD_REQUIRED MSH[1]-{number}"]
    assert refused(msh({number: " "})) == [f"FIELD_REQUIRED MSH[1]-{number}"]


def test_all_that_is_missing_is_said_at_once() -> None:
    assert refused(b"MSH|^~\\&|A") == ["FIELD_REQUIRED MSH[1]-9", "FIELD_REQUIRED MSH[1]-10", "FIELD_REQUIRED MSH[1]-12"]


def test_the_charset_is_found_before_anything_is_decoded() -> None:
    assert refused(msh({18: "KOI8-R"})) == ["CHARSET_UNKNOWN MSH[1]-18"]
    assert refused(msh({18: "UNICODE UTF-8"})) == ["CHARSET_INVALID MSH[1]-4"]
    assert read_header(msh({18: "UNICODE UTF-8"}, "utf-8"))[0].facility == "CHU-É&X"
    assert read_header(msh({18: "8859/15~UNICODE UTF-8"}))[0].charset == "8859/15"
    assert refused(msh({18: ""})[:-7] + b"\x92\r") == ["CHARSET_INVALID MSH[1]-21"]


def test_the_place_of_the_charset_has_its_span() -> None:
    payload = b"\xef\xbb\xbf\r\n" + msh({18: "KOI8-R", 4: ""})
    with pytest.raises(Unreadable) as caught:
        read_header(payload)
    place = caught.value.problems[0].place
    assert place is not None
    assert payload[place.start : place.end] == b"KOI8-R"


def test_a_warning_travels_with_the_header() -> None:
    header, _ = read_header(msh({18: ""}))
    assert [problem.code for problem in header.problems] == ["CHARSET_ASSUMED"]
    assert read_header(msh({18: ""}), "8859/1")[0].problems == ()
    assert read_header(msh({18: ""}), "8859/1")[0].charset == "8859/1"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "MSH_ABSENT"),
        (b"PID|1", "MSH_ABSENT"),
        (b"BHS|^~\\&|A\rMSH|^~\\&|", "MESSAGES_SEVERAL BHS[1]"),
        (b"MSH|^^^^|A", "SEPARATORS_INVALID MSH[1]-2"),
        (msh() + msh(), "MESSAGES_SEVERAL MSH[2]"),
        (msh() + b"garbage\r", "SEGMENT_INVALID PID[1]"),
        (msh({3: "A\0B"}), "UNSTORABLE_TEXT MSH[1]-3[1].1"),
    ],
)
def test_what_is_no_message(payload: bytes, code: str) -> None:
    assert refused(payload) == [code]


def test_limits_are_passed_on() -> None:
    assert read_header(msh(), limits=Limits(segments=2))[1].segments[1].name == "PID"
    with pytest.raises(Unreadable, match=r"CARDINALITY at PID\[1\]"):
        read_header(msh(), limits=Limits(segments=1))


def test_official_files_with_a_separator_of_two_bytes() -> None:
    payload = msh({18: "UNICODE UTF-8"}, "utf-8").replace(b"^~\\&", "^˜\\&".encode(), 1).replace(b"~", "˜".encode())
    assert read_header(payload)[0].profiles == ("2.11^IHE_FRANCE-2.11-PAM", "1.1^X")
    assert salvage(payload) == read_header(payload)[0]


# -- salvage


@pytest.mark.parametrize(
    "payload", [b"", b"\r", b"PID|1", b"MSH", b"MSHA", b"MSH ", b"MSH\xff^", b"MSH|" + b"~" * 20_000 + b"|" + b"|" * 2_000]
)
def test_nothing_to_salvage(payload: bytes) -> None:
    header = salvage(payload)
    assert header is None or header.control_id == ""


@pytest.mark.parametrize(
    "payload",
    [
        msh({18: "KOI8-R", 4: "CHU"}),
        msh() + b"garbage\r",
        msh() + b"PID|1||\x92\r",
        msh() + msh({10: "other"}),
        msh().replace(b"^~\\&", b"^^^^"),
        msh().replace(b"^~\\&", b"aabb"),
        msh({12: "9.9"}),
        msh({3: "A\0B"}),
    ],
)
def test_the_addressee_of_an_answer_is_salvaged(payload: bytes) -> None:
    header = salvage(payload)
    assert header is not None
    assert header.control_id == " 0042"
    assert header.trigger == "A01"
    assert header.components[4][0].startswith("CHU")


def test_salvaged_values_hold_no_control_characters() -> None:
    header = salvage(msh({10: "a\x00b\x0bc\x1cd\\X0D\\e"}))
    assert header is not None
    assert not any(character < " " for character in header.control_id)


def test_salvage_reads_in_the_declared_charset_if_it_is_one() -> None:
    assert salvage(msh() + b"garbage\r").facility == "CHU-É&X"  # type: ignore[union-attr]
    assert salvage(msh({18: "KOI8-R"})).charset == "ASCII"  # type: ignore[union-attr]


# -- digest


def test_the_digest_of_a_resend_is_the_same() -> None:
    assert digest(msh({7: "20260303170000"})) == digest(msh()) == digest(msh({7: ""}))


@pytest.mark.parametrize("number", [3, 6, 10, 12, 21])
def test_the_digest_of_other_content_is_another(number: int) -> None:
    assert digest(msh({number: "2.7"})) != digest(msh())


def test_the_digest_of_what_cannot_be_read_is_that_of_all() -> None:
    assert digest(b"x") != digest(b"y")
    assert digest(b"MSH|^^^^|1") != digest(b"MSH|^^^^|2")


# -- the head limit

LARGE = 16 * 1024 * 1024


@pytest.mark.parametrize("length", [198, 199, 200])
def test_the_longest_control_id(length: int) -> None:
    payload = msh({10: "é" * length})
    if length <= 199:
        assert read_header(payload)[0].control_id == "é" * length
    else:
        assert refused(payload) == ["FIELD_INVALID MSH[1]-10"]
    assert read_head(payload)[0].control_id == "é" * length


@pytest.mark.parametrize("before", [b"", b"\r\n \r"])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_longest_segment(more: int, before: bytes) -> None:
    line = before + b"MSH|^~\\&|GAM|CHU|||2026|"
    tail = b"|ADT^A01|7|P|2.5"
    payload = line + b"x" * (HEAD_BYTES + more - len(line) - len(tail)) + tail + b"\rPID|1\r"
    if more <= 0:
        header, message = read_header(payload)
        assert (header.control_id, len(message.segments)) == ("7", 2)
    else:
        assert refused(payload) == ["FIELD_INVALID MSH[1]-12"]
    salvaged = salvage(payload)
    assert salvaged is not None
    assert (salvaged.application, salvaged.control_id) == ("GAM", "7")


def test_a_segment_behind_the_head_is_none() -> None:
    assert refused(b"\r" * HEAD_BYTES + msh()) == ["MSH_ABSENT"]
    assert salvage(b"\r" * HEAD_BYTES + msh()) is None


@pytest.mark.parametrize("field", [3, 10, 18, 21])
@pytest.mark.parametrize("filling", [b"\\F\\", b"\\", b"^", b"~", b"&", b"|", b"\\X41\\", b"\x01", b"\r", b"\xc3"])
def test_who_sends_costs_the_same_whatever_follows(filling: bytes, field: int) -> None:
    head, _, rest = msh({field: "@"}, "utf-8").partition(b"@")
    payload = head + filling * (LARGE // len(filling)) + rest
    fastest = 1.0
    tracemalloc.start()
    for _ in range(3):
        begun = time.perf_counter()
        found = salvage(payload)
        fastest = min(fastest, time.perf_counter() - begun)
    with pytest.raises(Unreadable):
        read_header(payload)
    digest(payload)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is not None
    assert fastest < 0.25
    assert most < 8 * 1024 * 1024 or filling == b"\r"
    assert all(len(text) <= 1024 for components in found.components.values() for text in components)
    assert len(found.control_id) <= 1024


def test_a_no_break_space_is_salvaged() -> None:
    found = salvage(msh({4: "CHU\u00a0VALMONT", 18: "UNICODE UTF-8"}, "utf-8"))
    assert found is not None
    assert found.facility == "CHU\u00a0VALMONT"


@pytest.mark.parametrize(
    "written",
    [
        b"MSH|^~\\&|RIS|CHU|DMP|CHU|20260303||MDM^T02^MDM_T02|1|P|2.6|||||FRA|UNICODE UTF-8|||2.1^CISIS_CDA_HL7_V2",
        b"MSH|^~\\&|R\\T\\D|CHU|DMP|CHU|20260303||MDM^T02^MDM_T02|1|P|2.6|||||FRA|UNICODE UTF-8",
        b"MSH|^~\\&| RIS |CH\xc3\x89|DMP|CHU|20260303||MDM^T02^MDM_T02|1|P|2.6|||||FRA|UNICODE UTF-8",
        b"MSH|^~\\&|RIS|CH\xc9|DMP|CHU|20260303||MDM^T02^MDM_T02|1|P|2.6|||||FRA|8859/15",
        b"MSH|^~\\&|RIS\t|CHU|DMP|CHU|20260303||MDM^T02|1|P|2.6",
        b"MSH|^~\\&|" + b"R" * 1100 + b"|CHU|DMP|CHU|20260303||MDM^T02|1|P|2.6",
    ],
)
def test_a_header_is_the_same_whether_it_was_salvaged_before_or_not(written: bytes) -> None:
    header.salvage(written + b"\rPID|1")
    found, message = read_header(written + b"\rPID|1")
    strict = header._header(message.header, lambda part: part.text, found.charset, found.problems)
    assert found == strict
