"""Foreign readers on messages nobody here wrote: where they keep content they agree with us; what they lose is pinned."""

from pathlib import Path

import hl7
import pytest
from hl7apy.exceptions import InvalidName
from hl7apy.parser import parse_message

from gateway.mappers.hl7v2.header import read_head
from gateway.mappers.hl7v2.tokens import Message, Segment
from gateway.model.problem import Unreadable

pytestmark = pytest.mark.corpus

OFFICIAL = (
    "ConsentementConsultation_NonOppositionAlimentation.er7",
    "MDM_Remplacement_ack.er7",
    "NonConsentementConsultation_OppositionAlimentation.er7",
    "message_MDM_CR_Radio_DEL_N1.er7",
    "message_MDM_CR_Radio_INIT_N1.er7",
    "message_MDM_CR_Radio_INIT_N1_Base64.er7",
    "message_MDM_CR_Radio_RPLC_N1.er7",
    "message_ORU_CR_Bio_DEL_N3_SEGUR.hl7",
    "message_ORU_CR_Bio_INIT_N3_SEGUR.hl7",
    "message_ORU_CR_Bio_RPLC_N3_SEGUR.hl7",
)
DOCUMENTS = tuple(name for name in OFFICIAL if name.startswith("message_"))
CONSENTS = tuple(name for name in OFFICIAL if "Consultation" in name)

#: Refused by us, each for its reason.
REFUSED = {"batch03.hl7": "MESSAGES_SEVERAL", "msg-02.hl7": "CHARSET_UNKNOWN"}
#: The escape character is doubled: understood here, refused by one foreign reader and misread by the other.
DOUBLED = "sample_win.hl7"


def official(corpus: Path, name: str) -> Message:
    return read_head((corpus / "hl7v2" / name).read_bytes())[1]


def written(segments: list[Segment], codec: str) -> str:
    return "".join(segment.raw.decode(codec) + "\r" for segment in segments)


def shortened(field: str) -> str:
    """A field without the separators that stand behind its last values, which the foreign reader does not keep."""
    repetitions = ["^".join(part.rstrip("&") for part in each.split("^")).rstrip("^") for each in field.split("~")]
    return "~".join(repetitions).rstrip("~")


def test_the_official_messages_are_all_here(corpus: Path) -> None:
    assert {path.name for path in (corpus / "hl7v2").iterdir() if path.is_file()} == set(OFFICIAL)


@pytest.mark.parametrize("name", OFFICIAL)
def test_hl7apy_reads_the_same_fields(corpus: Path, name: str) -> None:
    message = official(corpus, name)
    kept = [segment for segment in message.segments if segment.name != "PRT"]
    theirs = parse_message(written(kept, message.dialect.codec), find_groups=False).children
    assert [child.name for child in theirs] == [segment.name for segment in kept]
    compared = 0
    for ours, their in zip(kept, theirs, strict=True):
        for field in ours.fields[2 if ours.name == "MSH" else 0 :]:
            found = [child.to_er7() for child in their.children if child.name == f"{ours.name}_{field.at[0]}"]
            assert shortened("~".join(found)) == shortened(field.raw.decode(message.dialect.codec)), field
            compared += 1
    assert compared >= 17


@pytest.mark.parametrize("name", CONSENTS)
def test_hl7apy_by_default_drops_the_opposition(corpus: Path, name: str) -> None:
    message = official(corpus, name)
    ours = {segment.name for segment in message.segments}
    theirs = parse_message(written(list(message.segments), message.dialect.codec)).to_er7()
    dropped = {name for name in ours if f"\r{name}|" not in f"\r{theirs}"}
    assert dropped == {"ZBE", "ZFA", "ZFD", "ZFM"} & ours
    assert "ZFA" in dropped


@pytest.mark.parametrize("name", DOCUMENTS)
def test_hl7apy_cannot_read_the_sender_of_a_document(corpus: Path, name: str) -> None:
    message = official(corpus, name)
    text = written(list(message.segments), message.dialect.codec)
    assert message.all("PRT")
    with pytest.raises(InvalidName):
        parse_message(text, find_groups=False)
    assert "PRT|" not in parse_message(text).to_er7()


@pytest.mark.parametrize("name", CONSENTS)
def test_what_the_opposition_says(corpus: Path, name: str) -> None:
    zfa = official(corpus, name).all("ZFA")[0]
    expected = ("IO", "INC") if name.startswith("NonConsentement") else ("INO", "IC")
    assert (zfa.value(9), zfa.value(11)) == expected


def test_a_splitter_finds_the_same_components_in_every_message(corpus: Path) -> None:
    read, refused = [], {}
    for path in sorted((corpus / "hl7v2").rglob("*")):
        if not path.is_file() or path.name == DOUBLED:
            continue
        try:
            message = read_head(path.read_bytes())[1]
        except Unreadable as refusal:
            refused[path.name] = refusal.problems[0].code
            continue
        _agree(message)
        read.append(path.name)
    assert refused == REFUSED
    assert len(read) >= len(OFFICIAL) + 15


def _agree(message: Message) -> None:
    codec = message.dialect.codec
    theirs = hl7.parse(written(list(message.segments), codec))
    assert [str(segment[0]) for segment in theirs] == [segment.name for segment in message.segments]
    for ours, their in zip(message.segments, theirs, strict=True):
        assert len(their) == ours.last + 1
        for field in ours.fields:
            assert str(their(field.at[0])) == field.raw.decode(codec)
            if ours.name == "MSH" and field.at[0] <= 2:
                continue
            for repetition in field.repetitions:
                parts = [str(part) for part in _parts(their(field.at[0]), repetition.at[1])]
                assert parts == [part.raw.decode(codec) for part in repetition.components], repetition


def _parts(field: hl7.Field, repetition: int) -> list[object]:
    """The components of one repetition: the splitter keeps a lone value bare."""
    found = field[repetition - 1]
    return list(found) if isinstance(found, hl7.Repetition) else [found]


def test_a_doubled_escape_character_is_read_as_one(corpus: Path) -> None:
    payload = (corpus / "hl7v2" / "foreign" / DOUBLED).read_bytes()
    doubled, usual = read_head(payload)[1], read_head(payload.replace(b"^~\\\\&", b"^~\\&", 1))[1]
    assert [segment.cells[2:] for segment in doubled.segments] == [segment.cells[2:] for segment in usual.segments]
    assert doubled.dialect == usual.dialect
