"""What `send` guesses about a file, how it rewrites a message, where it puts the carets, how it sums up."""

import json
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import console
from gateway.cli.mllp_client import Reply, Silence, acknowledged
from gateway.cli.outgoing import NotSendable, Outgoing, read, with_charset, with_control_id
from gateway.cli.send import EXAMPLES, base36, gather, send
from gateway.cli.send_answers import Sent, Tally, percentile, sent, words
from gateway.cli.underline import path, underline
from gateway.config.load import samples_directory

HEADER = b"MSH|^~\\&|SIL|CHU|DMP|CHU|20260303||ORU^R01^ORU_R01|%s|P|2.5|||||FRA|UNICODE UTF-8"
ONE = HEADER % b"1" + b"\rPID|1\r"
TWO = HEADER % b"2" + b"\rPID|2\r"

PATIENT = (
    HEADER % b"7" + b"\r"
    b"PID|1||100^^^CHU&990&M^PI~284^^^INS&1.2.3&ISO^INS||\xc3\x89LAN^ADELE||\r"
    b"OBX|1|ED|11502-2^CR^LN||^TEXT^XML^Base64^" + b"QUJD" * 3000 + b"||||||F\r"
    b"OBX|2|CE|MASQUE_PS\r"
)


# -- guessing


@pytest.mark.parametrize(
    ("name", "content", "payloads", "guessed"),
    [
        ("a.er7", ONE, [ONE], "one message"),
        ("a.er7", ONE.replace(b"\r", b"\n"), [ONE], "one message, LF line ends turned into CR"),
        ("a.er7", ONE.replace(b"\r", b"\r\n"), [ONE], "one message, CRLF line ends turned into CR"),
        ("a.er7", ONE.rstrip(b"\r"), [ONE], "one message"),
        ("a.er7", b"\xef\xbb\xbf" + ONE, [ONE], "one message, the byte order mark left out"),
        ("a.er7", ONE + b"\r" + TWO, [ONE, TWO], "2 messages"),
        ("a.er7", b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r", [ONE, TWO], "2 messages, MLLP frames"),
        ("a.er7", b"\x0b" + ONE + b"\x1c\r\n\x0b" + TWO + b"\x1c\r\n", [ONE, TWO], "2 messages, MLLP frames"),
        (
            "a.er7",
            b"\x0b" + ONE,
            [ONE],
            "one message, MLLP frames, the last frame has no end (1C 0D), one was put there",
        ),
        (
            "a.er7",
            b"FHS|^~\\&\rBHS|^~\\&\r" + ONE + TWO + b"BTS|2\rFTS|1\r",
            [ONE, TWO],
            "2 messages, headers and trailers of the batch left out",
        ),
        ("a.er7", b"PID|1\r", [b"PID|1\r"], "one message, no MSH in it, sent as it is"),
        (
            "a.er7",
            b"ZZZ|1\r" + ONE,
            [b"ZZZ|1\r" + ONE],
            "one message, before the first MSH there is something else, sent with it",
        ),
    ],
)
def test_messages_are_found_however_they_were_kept(name: str, content: bytes, payloads: list[bytes], guessed: str) -> None:
    found = read(name, content)
    assert [message.payload for message in found.messages] == payloads
    assert [message.index for message in found.messages] == list(range(1, len(payloads) + 1))
    assert [message.wire for message in found.messages] == [b"\x0b" + payload + b"\x1c\r" for payload in payloads]
    assert found.words == guessed


def test_one_frame_takes_all_of_the_file() -> None:
    found = read("a.er7", (ONE + TWO).replace(b"\r", b"\n"), one_frame=True)
    assert [message.payload for message in found.messages] == [ONE + TWO]
    assert found.words == "all of it as one frame, LF line ends turned into CR"


def test_a_raw_file_is_sent_byte_for_byte() -> None:
    content = b"\x0b" + ONE.replace(b"\r", b"\n") + b"\x1c\rjunk\x0b" + TWO
    found = read("folder/a.MLLP", content)
    assert b"".join(message.wire for message in found.messages) == content
    assert [message.is_closed for message in found.messages] == [True, False]
    assert [message.control_id for message in found.messages] == ["1", ""]
    assert found.words.startswith("2 frames, sent byte for byte; the last one has no end")


@given(st.lists(st.binary(max_size=30), min_size=1).filter(lambda parts: b"".join(parts).strip()))
def test_a_raw_file_loses_no_byte_whatever_it_holds(parts: list[bytes]) -> None:
    content = b"\x1c\r".join(parts)
    assert b"".join(message.wire for message in read("a.mllp", content).messages) == content


@pytest.mark.parametrize("content", [b"", b" \r\n ", b"\x0b\x1c\r"])
def test_nothing_is_no_message(content: bytes) -> None:
    with pytest.raises(NotSendable, match=r"a\.er7"):
        read("a.er7", content)


def test_every_example_is_there() -> None:
    messages = gather((), tuple(EXAMPLES))
    assert [message.header(9).split("^")[0] for message in messages] == ["MDM", "ORU", "ADT"]
    assert all(message.control_id for message in messages)


def test_every_sample_can_be_sent() -> None:
    files = [file for file in samples_directory().glob("*/*") if file.suffix in {".er7", ".mllp"}]
    assert files
    for file in files:
        assert read(str(file), file.read_bytes()).messages


# -- rewriting


def test_another_charset_rewrites_the_text_and_its_name() -> None:
    (message,) = read("a.er7", PATIENT).messages
    written = with_charset(message, " 8859/15 ")
    assert written.header(18) == "8859/15"
    assert b"PID|1||100^^^CHU&990&M^PI~284^^^INS&1.2.3&ISO^INS||\xc9LAN" in written.payload
    back = with_charset(written, "UNICODE UTF-8")
    assert back.payload == message.payload


def test_a_header_that_ends_before_msh_18_is_made_longer() -> None:
    (message,) = read("a.er7", b"MSH|^~\\&|A\rPID|1\r").messages
    written = with_charset(message, "ASCII")
    assert written.payload == b"MSH|^~\\&|A|||||||||||||||ASCII\rPID|1\r"


@pytest.mark.parametrize(
    ("payload", "name", "why"),
    [
        (PATIENT, "KOI8-R", "no character set that is handled"),
        (PATIENT, "ASCII", r"ASCII has no U\+00C9, which message 1 of a\.er7 needs"),
        (PATIENT.replace(b"\xc3\x89", b"\xc9"), "8859/15", "cannot be read in its own character set"),
    ],
)
def test_what_cannot_be_written_in_a_charset_is_refused(payload: bytes, name: str, why: str) -> None:
    (message,) = read("a.er7", payload).messages
    with pytest.raises(NotSendable, match=why):
        with_charset(message, name)


def test_a_fresh_id_changes_msh_10_and_nothing_else() -> None:
    (message,) = read("a.er7", PATIENT).messages
    fresh = with_control_id(message, "-x1.3")
    assert fresh.control_id == "7-x1.3"
    assert fresh.payload == PATIENT.replace(b"|7|P|", b"|7-x1.3|P|")


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (35, "z"), (36, "10"), (1_772_000_000, "tb03y8")])
def test_numbers_in_letters(number: int, text: str) -> None:
    assert base36(number) == text
    assert int(text, 36) == number


# -- underlining


@pytest.mark.parametrize(
    ("erl", "line", "carets"),
    [
        ("MSH", (HEADER % b"7").decode(), "^^^"),
        ("MSH^1^1", "MSH|^~\\&|SIL|CHU|DMP|CHU|20260303||…", "   ^"),
        ("MSH^1^2", "MSH|^~\\&|SIL|CHU|DMP|CHU|20260303||ORU^…", "    ^^^^"),
        (
            "MSH^1^8",
            "MSH|^~\\&|SIL|CHU|DMP|CHU|20260303||ORU^R01^ORU_R01|7|P|2.5|||||FR…",
            " " * 34 + "^ MSH-8 is empty",
        ),
        ("PID^1^3", "PID|1||100^^^CHU&990&M^PI~284^^^INS&1.2.3&ISO^INS||ÉLAN^ADELE||", "       " + "^" * 42),
        ("PID^1^3^2", "PID|1||100^^^CHU&990&M^PI~284^^^INS&1.2.3&ISO^INS||ÉLAN^ADELE||", " " * 26 + "^" * 23),
        ("PID^1^3^2^4", "PID|1||100^^^CHU&990&M^PI~284^^^INS&1.2.3&ISO^INS||ÉLAN^ADELE||", " " * 32 + "^" * 13),
        ("PID^1^3^2^4^2", "PID|1||100^^^CHU&990&M^PI~284^^^INS&1.2.3&ISO^INS||ÉLAN^ADELE||", " " * 36 + "^" * 5),
        ("PID^1^5^^2", "PID|1||100^^^CHU&990&M^P…SO^INS||ÉLAN^ADELE||", " " * 38 + "^" * 5),
        ("PID^1^3^3", "PID|1||100^^^CHU&990&M^PI~284^^^INS&1.2.3&ISO^INS||ÉLAN^ADELE||", " " * 49 + "^ PID-3[3] is absent"),
        ("PID^1^6", "PID|1||100^^^CHU&990&M^P…SO^INS||ÉLAN^ADELE||", " " * 44 + "^ PID-6 is empty"),
        ("PID^1^32", "PID|1||100^^^CHU&990&M^P…SO^INS||ÉLAN^ADELE||", " " * 45 + "^ PID-32 is absent"),
        (
            "OBX^1^5^1^5",
            "OBX|1|ED|11502-2^CR^LN||^TEXT^XML^Base64^" + "QUJD" * 8 + "QUJ…QUJDQUJDQUJD||||||F",
            " " * 41 + "^" * 48,
        ),
        ("OBX^1^11", "OBX|1|ED|11502-2^CR^LN||^TEXT^XML^Base64^…JDQUJD||||||F", " " * 54 + "^"),
        ("OBX^2^3", "OBX|2|CE|MASQUE_PS", "         ^^^^^^^^^"),
        ("OBX^2^3^1^2", "OBX|2|CE|MASQUE_PS", "                  ^ OBX[2]-3.2 is absent"),
        ("OBX^3^5", "OBX … the message has 2 of them, not 3", "^^^"),
        ("ZFA", "ZFA … the message has no such segment", "^^^"),
    ],
)
def test_a_place_is_underlined(erl: str, line: str, carets: str) -> None:
    assert underline(PATIENT, tuple(erl.split("^"))) == (line, carets)


def test_the_place_stays_in_sight_on_a_narrow_terminal() -> None:
    line, carets = underline(PATIENT, ("PID", "1", "3", "2", "4"), 60) or ("", "")
    assert len(line) <= 60
    assert line[carets.index("^") : len(carets)] == "INS&1.2.3&ISO"


@pytest.mark.parametrize("erl", [(), ("",), (" ", "1")])
def test_without_a_place_nothing_is_underlined(erl: tuple[str, ...]) -> None:
    assert underline(PATIENT, erl) is None


@pytest.mark.parametrize(
    ("payload", "erl", "line", "carets"),
    [
        (b"PID|1||284\r", ("PID", "1", "3"), "PID|1||284", "       ^^^"),
        (
            ONE + TWO,
            ("MSH", "2", "10"),
            "MSH|^~\\&|SIL|CHU|DMP|CHU|20260303||ORU^R01^ORU_R01|2|P|2.5|||||FRA|UNICODE UTF-8",
            " " * 51 + "^",
        ),
        (b"MSH#$%*@#A#B\rPID#1##x$y%z\r", ("PID", "1", "3", "1", "2"), "PID#1##x$y%z", " " * 9 + "^"),
        (b"MSH|aabb|A\rPID|1|^x\r", ("PID", "1", "2", "1", "2"), "PID|1|^x", " " * 7 + "^"),
        (HEADER % b"1" + b"\rPID|1|\x1b[31m\xe9\r", ("PID", "1", "2"), "PID|1|·[31m\ufffd", " " * 6 + "^" * 6),
        (b"MSH|^~\\&||||||||||||||||8859/15\rPID|1|\xa4\r", ("PID", "1", "2"), "PID|1|€", " " * 6 + "^"),
        ("MSH|^~\\&||||||||||||||||UNICODE UTF-8\rPID|漢字|x\r".encode(), ("PID", "1", "2"), "PID|漢字|x", " " * 9 + "^"),
    ],
    ids=[
        "no header",
        "second header",
        "own separators",
        "unusable separators",
        "control characters",
        "8859/15",
        "wide characters",
    ],
)
def test_a_place_is_underlined_in_a_message_that_cannot_be_read(
    payload: bytes, erl: tuple[str, ...], line: str, carets: str
) -> None:
    assert underline(payload, erl) == (line, carets)


@given(
    payload=st.binary(max_size=200).map(lambda tail: PATIENT + tail) | st.binary(max_size=60),
    erl=st.lists(st.text("PIDOBXMSH0129 ^é\x00", max_size=4), max_size=7),
)
def test_whatever_a_receiver_names_two_lines_or_none_come_back(payload: bytes, erl: list[str]) -> None:
    drawn = underline(payload, tuple(erl))
    assert drawn is None or ("^" in drawn[1] and len(drawn[0]) < 200 and drawn[0].isprintable())


@pytest.mark.parametrize(
    ("erl", "said"),
    [
        ((), ""),
        (("PID",), "PID"),
        (("PID", "1", "3"), "PID-3"),
        (("PID", "1", "3", "1", "4"), "PID-3.4"),
        (("OBX", "4", "5", "2", "5", "1"), "OBX[4]-5[2].5.1"),
    ],
)
def test_places_are_written_as_people_write_them(erl: tuple[str, ...], said: str) -> None:
    assert path(erl) == said


# -- answers


ACK = b"MSH|^~\\&|DMP|CHU|SIL|CHU|20260303||ACK^R01^ACK|9|P|2.5|||||FRA|UNICODE UTF-8\rMSA|%s|7|r-1\r"
KEY = b"ERR||PID^1^3^2|207^Application error^messageErrorCondition|E|INS_KEY^x^GATEWAY_ERROR_CODE^904^x^y||detail|sentence\r"
FOREIGN = b"ERR||MSH^1^12|203^ Unsupported version^messageErrorCondition| E\r"


def outgoing() -> Outgoing:
    (message,) = read("a.er7", PATIENT).messages
    return message


def test_an_answer_is_said_with_its_place_underlined() -> None:
    line, answered = sent(outgoing(), 1, Reply(answer=ACK % b"AE" + KEY, seconds=0.0123))
    text = [said for said, _ in words(outgoing(), line, answered)]
    assert text[0] == "AE refused  message 7 (a.er7) → r-1 in 12 ms"
    assert "sending it again as it is will not help" in text[1]
    assert text[3] == "   error INS_KEY (904) at PID-3[2]"
    assert text[4].startswith("   The control key of the INS is wrong")
    assert text[5:7] == ["   detail", "   what to do: Take the INS again from INSi; never type or complete it."]
    assert text[8].endswith("PID|1||100^^^CHU&990&M^PI~284^^^INS&1.2.3&ISO^INS||ÉLAN^ADELE||")
    assert text[9] == " " * 32 + "^" * 23
    assert not line.is_accepted


def test_an_answer_is_one_object_of_json() -> None:
    line, _ = sent(outgoing(), 2, Reply(answer=ACK % b"AR" + KEY + FOREIGN, seconds=0.5))
    assert json.loads(msgspec.json.encode(line)) == {
        "file": "a.er7",
        "index": 1,
        "repetition": 2,
        "control_id": "7",
        "answer": "AR",
        "silence": None,
        "reference": "r-1",
        "errors": [
            {"place": "PID^1^3^2", "code": "INS_KEY", "application_code": "904", "severity": "E", "text": "sentence"},
            {"place": "MSH^1^12", "code": "203", "application_code": "", "severity": "E", "text": "Unsupported version"},
        ],
        "duration_ms": 500.0,
    }


def test_a_receiver_without_codes_of_its_own_is_understood() -> None:
    line, answered = sent(outgoing(), 1, Reply(answer=ACK % b"AE" + FOREIGN, seconds=0.001))
    text = [said for said, _ in words(outgoing(), line, answered)]
    assert text[3:5] == ["   error 203 at MSH-12", "   Unsupported version"]
    assert text[-1].strip() == "^^^"


def test_what_a_receiver_writes_cannot_steer_the_terminal() -> None:
    hostile = ACK % b"A\x1b[2J" + b"ERR||\x1b[2J^1|207|E|\x1b[2J||\x1b[2J|\x1b[2J\r"
    line, answered = sent(outgoing(), 1, Reply(answer=hostile, seconds=0.001))
    assert all(said.isprintable() for said, _ in words(outgoing(), line, answered))


@pytest.mark.parametrize("answer", [b"", b"hello", b"MSH|^~\\&|A\r"])
def test_what_is_no_acknowledgment_is_no_answer(answer: bytes) -> None:
    line, answered = sent(outgoing(), 1, Reply(answer=answer, seconds=0.001))
    assert answered is None
    assert (line.answer, line.silence) == (None, "unreadable")
    assert [said for said, _ in words(outgoing(), line, None)][1].strip() == "what came back is no acknowledgment"


@pytest.mark.parametrize("silence", list(Silence))
def test_every_silence_is_explained(silence: Silence) -> None:
    line, answered = sent(outgoing(), 1, Reply(silence=silence, seconds=1.0))
    said = list(words(outgoing(), line, answered))
    assert said[0][0].startswith("no answer  message 7") and len(said[1][0]) > 10


@pytest.mark.parametrize(
    ("answer", "code_and_id"),
    [
        (ACK % b"AA", ("AA", "7")),
        (b"MSH#^~\\&\nMSA# AE #x\n", ("AE", "x")),
        (b"MSH|^~\\&\rMSA|AE\r", ("AE", "")),
        (b"nothing", ("", "")),
    ],
)
def test_the_message_that_is_answered_is_found(answer: bytes, code_and_id: tuple[str, str]) -> None:
    assert acknowledged(answer) == code_and_id


# -- summing up


def line(answer: str | None, milliseconds: float, silence: str | None = None) -> Sent:
    return Sent(
        file="a",
        index=1,
        repetition=1,
        control_id="1",
        answer=answer,
        silence=silence,
        reference="",
        errors=(),
        duration_ms=milliseconds,
    )


def test_the_summary_counts_every_answer_and_silence() -> None:
    tally = Tally()
    for number in range(98):
        tally.add(line("AA", number + 1.0))
    tally.add(line("AE", 99.0))
    tally.add(line(None, 5000.0, "timeout"))
    assert not tally.all_accepted
    assert tally.summary(100, 4.0) == (
        "sent 100: AA 98, AE 1, AR 0, no answer 1; 25.0 per second; answered in 50 ms (p50), 99 ms (p99)"
    )
    assert tally.summary(200, 4.0).startswith("sent 100 of 200: ")


def test_nothing_sent_is_not_accepted() -> None:
    assert not Tally().all_accepted
    assert Tally().summary(3, 0.0) == "sent 0 of 3: AA 0, AE 0, AR 0, no answer 0"


@pytest.mark.parametrize(("percent", "value"), [(1, 1.0), (50, 2.0), (51, 3.0), (75, 3.0), (99, 4.0), (100, 4.0)])
def test_percentiles_by_nearest_rank(percent: int, value: float) -> None:
    assert percentile([4.0, 2.0, 1.0, 3.0], percent) == value


# -- the command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to send"),
        (["absent.er7"], "absent.er7 cannot be read"),
        (["--example", "xyz"], "--example"),
        (["--example", "oru", "--to", "here:port"], "HOST:PORT"),
        (["--example", "oru", "--to", "here:70000"], "HOST:PORT"),
        (["--example", "oru", "--charset", "EBCDIC"], "EBCDIC is no character set"),
        (["--example", "oru", "--rate", "0"], "--rate"),
        (["--example", "oru", "--repeat", "0"], "--repeat"),
        (["cut.mllp", "--fresh-ids"], "byte for byte"),
        (["cut.mllp", "--charset", "ASCII"], "byte for byte"),
    ],
)
def test_what_cannot_be_understood_ends_with_status_2(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut.mllp").write_bytes(b"\x0b" + ONE)
    result = CliRunner().invoke(send, arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_every_option_explains_itself() -> None:
    options = [option for option in send.params if isinstance(option, click.Option)]
    assert options
    assert [option.opts for option in options if not option.help] == []
    assert "Examples:" in CliRunner().invoke(send, ["--help"]).stdout


# -- the console


def test_a_table_is_plain_text_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(("id", "état"), [("1", "[bold]x"), ("漢字", "y\x1b"), ("3", "")])
    assert capsys.readouterr().out == "id    état\n1     [bold]x\n漢字  y·\n3\n"


def test_words_go_to_standard_error_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.err("PID[1]-3[2] [red]" + "x" * 200, style="red")
    console.out("a" * 200)
    said = capsys.readouterr()
    assert said.err == "PID[1]-3[2] [red]" + "x" * 200 + "\n"
    assert said.out == "a" * 200 + "\n"


def test_failing_says_what_is_wrong_and_what_next(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        console.fail("It is closed.", "Open it.")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "It is closed.\nOpen it.\n"


def test_no_bar_is_drawn_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(3, "x") as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


def test_data_for_a_pipe_passes_by_the_bar_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console.err, "_force_terminal", True)
    monkeypatch.setattr(console.err, "is_interactive", True)
    monkeypatch.setenv("TERM", "xterm")
    with console.progress(2, "sending") as advance:
        console.json_line({"number": 1})
        console.out("second")
        advance(2)
    said = capsys.readouterr()
    assert said.out == '{"number":1}\nsecond\n'
    assert "sending" in said.err and "2/2" in said.err
