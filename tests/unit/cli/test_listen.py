"""What `listen` decides, answers, says and keeps; how a business acknowledgment reads."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import click
import hl7
import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.listen import listen
from gateway.cli.listen_answers import Acks, Read, acknowledgments, read, refusal
from gateway.cli.listen_folder import Folder, safe
from gateway.cli.listen_heard import Heard, Tally, heard, segments, words
from gateway.cli.listen_manner import Act, Decision, Manner, decide, roll
from gateway.cli.listen_zam import business_ack, meaning
from gateway.mappers.hl7v2.ack import Answered, read_ack
from gateway.mappers.hl7v2.header import read_head
from gateway.model.problem import Unreadable

NOW = datetime(2026, 3, 13, 15, 0, tzinfo=UTC)
MESSAGE = (
    "MSH|^~\\&|SIL|CHU|DMP|GW|20260303||ORU^R01^ORU_R01|M-1|P|{version}|||{accept}|{application}|FRA|{charset}\rPID|1||284\r"
)
ZAM = (
    "MSH|^~\\&|PFI-X|EJ-1|SIL-V|CHU-VALMONT|20260313160000+0100||ZAM^{event}^ZAM_Z01|PFI-17|P|2.6|||||FRA|UNICODE UTF-8|||"
    "2.1^CISIS_CDA_HL7_V2\r"
    "EVN||20260313160000+0100\r"
)


def message(version: str = "2.5", accept: str = "", application: str = "", charset: str = "UNICODE UTF-8") -> bytes:
    return MESSAGE.format(version=version, accept=accept, application=application, charset=charset).encode()


def zam(event: str, *more: str) -> bytes:
    return (ZAM.format(event=event) + "".join(f"{line}\r" for line in more)).encode()


def acks(payload: bytes, manner: Manner | None = None, number: int = 1) -> Acks:
    manner = manner or Manner()
    return acknowledgments(read(payload), decide(manner, number), manner, control_id="LISTEN-1", at=NOW)


def answered(payload: bytes, manner: Manner | None = None, number: int = 1) -> Answered:
    (ack,) = acks(payload, manner, number).payloads
    return read_ack(ack)


def said(payload: bytes, *, verbose: bool = False) -> Heard:
    found, decision = read(payload), Decision(Act.AA)
    made = acknowledgments(found, decision, Manner(), control_id="L", at=NOW)
    return heard(
        found,
        decision,
        made,
        number=1,
        at=NOW,
        peer="127.0.0.1:4",
        connection=1,
        payload=payload,
        file=None,
        verbose=verbose,
    )


def shown(payload: bytes, *, verbose: bool = False) -> list[str]:
    return [text for text, _ in words(said(payload, verbose=verbose))]


# -- decisions


def test_each_third_message_is_answered_as_asked_and_the_others_truly() -> None:
    manner = Manner(answer=Act.AE, every=3, wrong_id=True)
    found = [decide(manner, number) for number in range(1, 10)]
    assert [each.act for each in found] == [Act.AA, Act.AA, Act.AE] * 3
    assert [each.wrong_id for each in found] == [False, False, True] * 3
    assert [each.chosen for each in found] == [False, False, True] * 3


@given(st.integers(0, 2**64), st.integers(1, 2**40))
def test_a_roll_is_in_its_range_and_the_same_again(seed: int, number: int) -> None:
    assert 0 <= roll(seed, number) < 1
    assert roll(seed, number) == roll(seed, number)


def test_a_share_of_the_messages_is_dropped_and_which_ones_follows_from_the_seed() -> None:
    def dropped(share: float, seed: int = 0) -> list[int]:
        return [number for number in range(1, 2001) if decide(Manner(drop=share, seed=seed), number).act is Act.DROP]

    assert 140 < len(dropped(0.1)) < 260
    assert dropped(0.1) == dropped(0.1) != dropped(0.1, seed=1)
    assert set(dropped(0.1)) < set(dropped(0.5))
    assert dropped(0) == [] and len(dropped(1)) == 2000


def test_the_same_messages_are_dropped_by_every_version_of_the_program() -> None:
    manner = Manner(drop=0.1, seed=7)
    found = [number for number in range(1, 61) if decide(manner, number).act is Act.DROP]
    assert found == [2, 27, 28, 34, 43, 50, 52, 58], "a run that somebody wrote down cannot be had again"


# -- answers


def test_an_answer_is_a_true_acknowledgment() -> None:
    (ack,) = acks(message()).payloads
    header, parsed = read_head(ack)
    assert read_ack(ack) == Answered(code="AA", control_id="M-1")
    assert (header.application, header.facility, header.receiving_application) == ("DMP", "GW", "SIL")
    assert (header.message_type, header.charset, header.version) == ("ACK^R01", "UNICODE UTF-8", "2.5")
    assert str(hl7.parse(ack.decode()).segment("MSA")) == "MSA|AA|M-1"
    assert parsed.first("ERR") is None


@pytest.mark.parametrize("act", [Act.AE, Act.AR])
@pytest.mark.parametrize(("code", "said_code"), [("", "207"), ("205", "205"), ("101", "101")])
def test_a_refusal_that_was_asked_for_says_its_code_and_text(act: Act, code: str, said_code: str) -> None:
    found = answered(message(), Manner(answer=act, code=code, text="déjà | connu"))
    assert found.code == act.value
    (error,) = found.errors
    assert (error.condition, error.severity, error.message) == (said_code, "E", "déjà | connu")


def test_a_refusal_by_a_code_of_the_gateway_is_the_gateways_own() -> None:
    (error,) = answered(message(), Manner(answer=Act.AE, code="OPPOSED", text="x")).errors
    assert (error.code, error.application_error, error.condition, error.diagnostic) == ("OPPOSED", "906", "207", "x")
    assert error.message.startswith("The patient opposes")


def test_before_version_2_5_the_code_stands_in_err_1_too() -> None:
    (error,) = answered(message(version="2.3"), Manner(answer=Act.AE, code="205")).errors
    assert error.code == "205"


def test_a_text_beside_aa_stands_in_msa_3_of_the_messages_that_were_chosen() -> None:
    manner = Manner(text="bien reçu", every=2, wrong_id=True)
    assert answered(message(), manner, 1) == Answered(code="AA", control_id="M-1")
    assert answered(message(), manner, 2) == Answered(code="AA", control_id="WRONG-M-1", reference="bien reçu")


@pytest.mark.parametrize("charset", ["UNICODE UTF-8", "8859/15", "8859/1", "ASCII"])
def test_an_answer_in_another_charset_is_written_in_it(charset: str) -> None:
    (ack,) = acks(message(), Manner(answer=Act.AE, text="à 5 €", charset=charset)).payloads
    header, _ = read_head(ack)
    euro = {"8859/1": "à 5 ?", "ASCII": "? 5 ?"}.get(charset, "à 5 €")
    assert header.charset == charset
    assert read_ack(ack).errors[0].message == euro


@pytest.mark.parametrize("act", [Act.NEVER, Act.DROP])
def test_no_answer_is_none(act: Act) -> None:
    assert acknowledgments(read(message()), Decision(act), Manner(), control_id="L", at=NOW) == Acks(None)


@pytest.mark.parametrize(
    ("accept", "application", "act", "codes"),
    [
        ("AL", "NE", Act.AA, ["CA"]),
        ("AL", "AL", Act.AA, ["CA", "AA"]),
        ("AL", "AL", Act.AE, ["CA", "AE"]),
        ("AL", "NE", Act.AR, ["CR"]),
        ("AL", "", Act.AE, ["CE"]),
        ("NE", "AL", Act.AE, ["AE"]),
        ("NE", "ER", Act.AA, []),
        ("NE", "NE", Act.AE, []),
        ("ER", "ER", Act.AE, ["AE"]),
        ("ER", "SU", Act.AE, ["CE"]),
    ],
)
def test_enhanced_mode_is_heeded(accept: str, application: str, act: Act, codes: list[str]) -> None:
    found = acks(message(accept=accept, application=application), Manner(answer=act))
    read_back = [read_ack(ack) for ack in found.payloads]
    assert [each.code for each in read_back] == codes
    assert [bool(each.errors) for each in read_back] == [code[1] in "ER" for code in codes]
    assert found.code == (codes[-1] if codes else None)
    ids = [read_head(ack)[0].control_id for ack in found.payloads]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "MSH_ABSENT"),
        (b"GET / HTTP/1.1\r\n", "MSH_ABSENT"),
        (b"\x00\xff" * 500, "MSH_ABSENT"),
        (message().replace(b"|M-1|", b"||"), "FIELD_REQUIRED"),
        (message().replace(b"284", b"\xff\xfe"), "CHARSET_INVALID"),
        (message(charset="KOI8"), "CHARSET_UNKNOWN"),
        (message(version="9.9"), "VERSION_UNSUPPORTED"),
        (message() + b"\r@@@|x\r", "SEGMENT_INVALID"),
    ],
)
def test_what_cannot_be_read_is_never_answered_aa(payload: bytes, code: str) -> None:
    found = answered(payload)
    assert found.code == "AE"
    assert code in [error.code for error in found.errors]
    assert code in said(payload).codes
    assert code in "\n".join(shown(payload))


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=80).map(lambda junk: message() + junk), st.text().map(str.encode)))
def test_whatever_comes_is_answered_and_said(payload: bytes) -> None:
    for act in (Act.AA, Act.AR):
        for ack in acks(payload, Manner(answer=act, wrong_id=True)).payloads:
            assert b"\x0b" not in ack and b"\x1c" not in ack
            assert read_ack(ack).code in {"AA", "AE", "AR", "CA", "CE", "CR"}
    line = said(payload, verbose=True)
    assert msgspec.json.decode(msgspec.json.encode(line), type=Heard) == line
    for text, _ in words(line):
        assert text.isprintable()


def test_a_frame_that_was_lost_is_answered_as_the_gateway_does() -> None:
    found = read_ack(refusal(message(), "MESSAGE_TRUNCATED", control_id="L", at=NOW))
    assert (found.code, found.control_id, found.errors[0].code) == ("AR", "M-1", "MESSAGE_TRUNCATED")
    assert read_ack(refusal(b"GET /", "MSH_ABSENT", control_id="L", at=NOW)).code == "AE"


# -- words


def test_a_message_is_shown_by_its_header_and_nothing_else() -> None:
    assert shown(message()) == ["16:00:00  ORU^R01  M-1  93 bytes  from 127.0.0.1:4  → AA"]
    assert said(message()).segments == ()
    assert "284" not in msgspec.json.encode(said(message())).decode().replace('"size":93', "")


def test_verbose_shows_the_segments_long_ones_cut() -> None:
    long = message() + b"OBX|1|ED|||" + b"A" * 5000 + b"\r" + b"NTE|1\r" * 300
    lines = shown(long, verbose=True)
    assert lines[2] == "      PID|1||284"
    assert lines[3].endswith("AAA… (5,011 bytes)") and len(lines[3]) < 450
    assert len(lines) == 202 and lines[-1] == "      … more segments are not shown"


def test_segments_are_shown_in_their_charset_and_steer_no_terminal() -> None:
    assert list(segments("PID|é€".encode("iso8859-15"), "8859/15")) == ["PID|é€"]
    assert list(segments(b"PID|\x1b[31m\xff\rX", "ASCII")) == ["PID|·[31m\ufffd", "X"]


def test_a_message_that_is_none_is_shown() -> None:
    assert shown(b"hello")[0] == "16:00:00  no HL7v2 message  without MSH-10  5 bytes  from 127.0.0.1:4  → AE"


def test_what_many_messages_say_together() -> None:
    tally = Tally()
    tally.connections = 2
    for deed, answer in (("answered", "AA"), ("answered", "AE"), ("answered", "CA"), ("left", None), ("dropped", None)):
        tally.add(msgspec.structs.replace(said(message()), deed=deed, answer=answer))
    assert tally.summary() == ("received 5: AA 1, AE 1, AR 0, CA 1, left without an answer 1, dropped 1; 2 connections")
    tally.faults, tally.turned_away, tally.connections = 1, 3, 1
    assert tally.summary().endswith("; one connection, 1 of them with bytes that are no whole frame, 3 more turned away")


# -- business acknowledgments (ANS Trans. CDA en HL7v2 2.1)


def test_a_refusal_by_the_dmp_is_said_in_words() -> None:
    payload = zam(
        "Z01",
        "OBX|1|CWE|ACK_RECEPTION_DMP^Accusé de réception DMP^AckMetierZAM|SILV-0006|N^^expandedYes-NoIndicator||||||F",
        "ERR|||207^Application error^messageErrorCondition|E|DMPClosed^DMP fermé^DMPERRORCODE",
    )
    assert shown(payload)[1:] == [
        "   business acknowledgment of message SILV-0006: reception by the DMP, no",
        "   error 207 Application error, DMPClosed DMP fermé (DMPERRORCODE)",
        "   the patient's record is closed",
    ]
    ack = said(payload).business_ack
    assert ack is not None and (ack.event, ack.message_id, ack.verdict, ack.errors[0].code) == (
        "Z01",
        "SILV-0006",
        "N",
        "DMPClosed",
    )


@pytest.mark.parametrize("written", ["DMP_ERROR_CODE", "DMPERRORCODE"])
def test_the_codes_of_the_dmp_are_known_by_both_names_of_their_table(written: str) -> None:
    assert meaning("DMPClosed", written) == "the patient's record is closed"
    assert meaning("A-unknown", written) == ""


def test_a_reception_by_the_dmp_is_said() -> None:
    payload = zam("Z01", "OBX|1|CWE|ACK_RECEPTION_DMP^x^AckMetierZAM|SILV-0006|Y^^expandedYes-NoIndicator||||||F")
    assert shown(payload)[1:] == ["   business acknowledgment of message SILV-0006: reception by the DMP, yes"]


def test_a_mailbox_that_is_full_is_said_and_its_address_is_not() -> None:
    payload = zam(
        "Z02",
        "OBX|1|CWE|ACK_RECEPTION_MSS^x^AckMetierZAM|SILV-0007|N^^expandedYes-NoIndicator||||||F",
        "OBX|2|XTN|DESTINATAIRE_MSS^x^AckMetierZAM||^^X.400^odile.modele@example.mssante.example||||||F",
        "ERR|||207^Application error^messageErrorCondition|E|422^Boîte pleine^SMTPERRORCODE",
    )
    lines = shown(payload)
    assert lines[1:] == [
        "   business acknowledgment of message SILV-0007: reception by the MSSanté mailbox, no",
        "   error 207 Application error, 422 Boîte pleine (SMTPERRORCODE)",
        "   the mailbox is full",
    ]
    assert "odile" not in msgspec.json.encode(said(payload)).decode()
    assert any("odile" in line for line in shown(payload, verbose=True))


@pytest.mark.parametrize("code", ["ACK_LECTURE_MSS", "ACK_LECTURE"])
def test_a_reading_that_failed_at_the_recipient_is_said(code: str) -> None:
    payload = zam(
        "Z03",
        f"OBX|1|CWE|{code}^x^AckMetierZAM|SILV-0008|N^^expandedYes-NoIndicator||||||F",
        "OBX|2|XTN|LECTEUR_MSS^x^AckMetierZAM||^^X.400^a@b.example||||||F",
        "ERR|||207^Application error^messageErrorCondition|W|902^Patient inconnu^applicationErrorCondition",
    )
    assert shown(payload)[1:] == [
        "   business acknowledgment of message SILV-0008: reading in the MSSanté mailbox, no",
        "   warning 207 Application error, 902 Patient inconnu (applicationErrorCondition)",
        "   Patient unknown",
    ]


def test_a_refusal_by_a_code_of_the_gateway_is_said_in_its_words() -> None:
    assert meaning("OPPOSED", "GATEWAY_ERROR_CODE").startswith("The patient opposes")


def test_what_a_business_acknowledgment_lacks_is_said() -> None:
    assert shown(zam("Z01"))[1:] == [
        "   business acknowledgment of a message that OBX-4 does not name: reception by the DMP, neither Y nor N in OBX-5"
    ]
    refused = zam("Z01", "OBX|1|CWE|ACK_RECEPTION_DMP||N")
    assert shown(refused)[-1] == "   no ERR says why, and a negative one must have it"
    assert shown(zam("Z01", "ERR||"))[-1] == "   error without a code"


def test_another_event_of_zam_is_a_message_like_any() -> None:
    assert said(zam("Z09")).business_ack is None


def test_a_value_that_cannot_be_decoded_is_empty() -> None:
    found: Read = read(zam("Z01", "OBX|1|CWE|ACK_RECEPTION_DMP||\\X00\\|N"))
    assert found.message is not None
    with pytest.raises(Unreadable):
        found.message.all("OBX")[0].value(5)
    ack = business_ack("Z01", found.message)
    assert ack is not None and ack.verdict == ""


# -- the folder


@pytest.mark.parametrize(
    ("control_id", "name"),
    [
        ("SILV-0001", "SILV-0001"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("a\0b\nc d", "a_b_c_d"),
        ("", "without-id"),
        ("é" * 9, "_"),
        ("x" * 300, "x" * 60),
    ],
)
def test_a_files_name_bears_what_it_can_of_msh_10(tmp_path: Path, control_id: str, name: str) -> None:
    assert safe(control_id) == name
    assert Folder(tmp_path).keep(control_id, b"payload") == f"000001-{name}.hl7"
    assert [each.name for each in tmp_path.iterdir()] == [f"000001-{name}.hl7"]


def test_a_folder_goes_on_where_it_was_left_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "here"
    first = Folder(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert [first.keep("A", b"1"), first.keep("A", b"2\x0d")] == ["000001-A.hl7", "000002-A.hl7"]
    (path / "notes.txt").touch()
    second = Folder(path)
    assert [second.keep("B", b"3"), first.keep("B", b"4"), second.keep("A", b"5")] == [
        "000003-B.hl7",
        "000004-B.hl7",
        "000004-A.hl7",
    ]
    assert (path / "000002-A.hl7").read_bytes() == b"2\x0d"
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.glob("*.hl7")} == {0o600}


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "000001-A.hl7").symlink_to(tmp_path / "elsewhere")
    folder = Folder(tmp_path / ".")
    folder._last = 0
    assert folder.keep("A", b"x") == "000002-A.hl7"
    assert not (tmp_path / "elsewhere").exists()


# -- the command line


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--delay", "soon"], "no duration"),
        (["--delay", "-1s"], "no duration"),
        (["--drop", "110%"], "no share"),
        (["--drop", "1.5"], "no share"),
        (["--answer", "CA"], "Invalid value"),
        (["--code", "207"], "for an answer that refuses"),
        (["--answer", "AE", "--code", "999"], "neither of table 0357"),
        (["--charset", "KOI8"], "no character set that is handled"),
        (["--every", "3"], "nothing to choose"),
        (["--answer", "never", "--wrong-id"], "never gives none"),
        (["--verbose", "--quiet"], "--quiet does not"),
        (["--tls-ca", "x.pem"], "--tls-cert"),
        (["--tls-key", "x.pem"], "--tls-cert"),
        (["--tls-cert", "/nonexistent/x.pem"], "x.pem"),
        (["--port", "65536"], "Invalid value"),
    ],
)
def test_what_cannot_be_meant_is_told(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(listen, arguments)
    assert result.exit_code == 2
    assert text in result.stderr


@pytest.mark.parametrize(
    ("option", "written", "value"),
    [
        ("delay", "5s", 5.0),
        ("delay", "200ms", 0.2),
        ("delay", "1.5", 1.5),
        ("trickle", "2m", 120.0),
        ("drop", "10%", 0.1),
        ("drop", "0.25", 0.25),
        ("drop", "100%", 1.0),
        ("charset", "unicode utf-8", "UNICODE UTF-8"),
        ("code", "opposed", "OPPOSED"),
    ],
)
def test_units_and_names_are_read(option: str, written: str, value: object) -> None:
    (parameter,) = [each for each in listen.params if each.name == option]
    assert parameter.type.convert(written, None, None) == value


def test_every_option_says_what_it_does() -> None:
    options = [option for option in listen.params if isinstance(option, click.Option)]
    assert len(options) == 21
    assert all(option.help for option in options)
    assert "Exit status:" in CliRunner().invoke(listen, ["--help"]).stdout
