"""The messages that are refused at the door, each for one fault."""

import base64
from collections.abc import Sequence

from recipe import documents as d
from recipe.deposits import mdm, oru
from recipe.er7 import Sample, message, segment
from recipe.people import ADELE, BASTIEN, VALMONT
from recipe.segments import RIS_OLD, SIL_V, VOLET, data_obx, header, ins_cx, local_cx, pid

_XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_CDA_TAIL = '<ClinicalDocument xmlns="urn:hl7-org:v3"><title>{}</title></ClinicalDocument>\n'
#: Eight levels of four: 65 536 copies if an XML reader expanded them.
_BOMB = "".join(f'  <!ENTITY e{n} "{f"&e{n - 1};" * 4}">\n' for n in range(1, 9))


def _bad(file: str, situation: str, content: bytes, code: str, place: str, becomes: str = "", answer: str = "AE") -> Sample:
    return Sample(
        file=f"bad/{file}",
        situation=situation,
        content=content,
        answer=answer,
        verdict="rejected",
        becomes=becomes or "nothing is kept but ids, code and hash",
        code=code,
        place=place,
        ins_wrong=code == "INS_KEY",
    )


def _with(control_id: str, name: str, line: str) -> list[str]:
    """Return the usual message with its first segment of that name replaced."""
    lines = oru(control_id, [d.BIO_REFUSED])
    at = next(n for n, known in enumerate(lines) if known.startswith(name + "|"))
    return [*lines[:at], line, *lines[at + 1 :]]


def _with_pid(control_id: str, *, ids: Sequence[str] | None = None, status: str = "VALI", born: str | None = None) -> bytes:
    line = pid(ADELE, VALMONT, file_number="26000290", ids=ids, status=status, born=born)
    return message(_with(control_id, "PID", line))


def _with_data(control_id: str, data: str) -> bytes:
    return message(_with(control_id, "OBX", data_obx(d.BIO_REFUSED, 1, "F", "TEXT", data)))


def _with_xml(control_id: str, text: str) -> bytes:
    return _with_data(control_id, base64.b64encode(text.encode()).decode())


def _with_field(control_id: str, name: str, number: int, value: str) -> list[str]:
    """Return the usual message with one field of a segment replaced; MSH counts from its separator."""
    lines = oru(control_id, [d.BIO_REFUSED])
    at = next(n for n, known in enumerate(lines) if known.startswith(name + "|"))
    fields = lines[at].split("|")
    fields[number - 1 if name == "MSH" else number] = value
    return [*lines[:at], "|".join(fields), *lines[at + 1 :]]


def _identity() -> list[Sample]:
    ipp = local_cx(ADELE.local["chu-valmont"], VALMONT)
    return [
        _bad(
            "01-ins-absent.er7",
            "PID-3 has the IPP only",
            _with_pid("BAD-0001", ids=(ipp,)),
            "INS_ABSENT",
            "PID^1^3",
        ),
        _bad(
            "02-ins-key.er7",
            "the key of the INS is wrong, in PID-3 and in the CDA",
            message(oru("BAD-0002", [d.BIO_WRONG_KEY])),
            "INS_KEY",
            "PID^1^3^2",
        ),
        _bad(
            "03-ins-unqualified.er7",
            "PID-32 = PROV beside an INS",
            _with_pid("BAD-0003", status="PROV"),
            "INS_UNQUALIFIED",
            "PID^1^32",
        ),
        _bad(
            "04-pid-cda-differ.er7",
            "PID-3 is another patient than the CDA's recordTarget",
            message(_with("BAD-0004", "PID", pid(BASTIEN, VALMONT, file_number="26000290"))),
            "PID_CDA_DIFFER",
            "PID^1^3",
        ),
        _bad(
            "05-ins-several.er7",
            "PID-3 holds two INS",
            _with_pid("BAD-0005", ids=(ipp, ins_cx(ADELE.ins), ins_cx(BASTIEN.ins))),
            "INS_SEVERAL",
            "PID^1^3",
        ),
        _bad(
            "06-traits-missing.er7",
            "no birth date in PID-7",
            _with_pid("BAD-0006", born=""),
            "TRAITS_MISSING",
            "PID^1^7",
        ),
    ]


def _document() -> list[Sample]:
    whole = base64.b64encode(b"the document").decode()
    return [
        _bad(
            "07-act-incoherent.er7",
            "ORC-1 = NW with OBX-11 = C",
            message(_with_field("BAD-0007", "OBX", 11, "C")),
            "ACT_INCOHERENT",
            "OBX^1^11",
        ),
        _bad(
            "08-flag-missing.er7",
            "no OBX with INVISIBLE_PATIENT",
            message(oru("BAD-0008", [d.BIO_REFUSED], without="INVISIBLE_PATIENT")),
            "FLAG_MISSING",
            "OBX",
        ),
        _bad(
            "09-base64-invalid.er7",
            "a character outside base64 in OBX-5.5",
            _with_data("BAD-0009", whole[:6] + "!" + whole[6:]),
            "BASE64_INVALID",
            "OBX^1^5",
        ),
        _bad(
            "10-not-xml.er7",
            "the document is a sentence",
            _with_xml("BAD-0010", "Compte rendu : tout va bien.\n"),
            "XML_INVALID",
            "OBX^1^5",
        ),
        _bad(
            "11-entity-bomb.er7",
            "entities that multiply",
            _with_xml(
                "BAD-0011",
                f'{_XML_HEAD}<!DOCTYPE ClinicalDocument [\n  <!ENTITY e0 "mot ">\n{_BOMB}]>\n' + _CDA_TAIL.format("&e8;"),
            ),
            "XML_FORBIDDEN",
            "OBX^1^5",
            "refused unread: a DOCTYPE is enough",
        ),
        _bad(
            "12-external-entity.er7",
            "an external entity that names a local file",
            _with_xml(
                "BAD-0012",
                f'{_XML_HEAD}<!DOCTYPE ClinicalDocument [\n  <!ENTITY f SYSTEM "file:///etc/hostname">\n]>\n'
                + _CDA_TAIL.format("&f;"),
            ),
            "XML_FORBIDDEN",
            "OBX^1^5",
            "refused unread: nothing is fetched",
        ),
        _bad(
            "13-doctype.er7",
            "a DOCTYPE without entity",
            _with_xml("BAD-0013", f"{_XML_HEAD}<!DOCTYPE ClinicalDocument>\n" + _CDA_TAIL.format("Essai")),
            "XML_FORBIDDEN",
            "OBX^1^5",
        ),
        _bad(
            "14-type-not-dmp.er7",
            "a document type that the DMP does not take (28617-9)",
            message(oru("BAD-0014", [d.BIO_TYPE])),
            "TYPE_NOT_DMP",
            "OBX^1^3",
        ),
        _bad(
            "15-document-id-differs.er7",
            "TXA-12 is not the id of the CDA",
            _other_id(),
            "DOCUMENT_ID_DIFFERS",
            "TXA^1^12",
        ),
    ]


def _other_id() -> bytes:
    lines = mdm("BAD-0015", d.BIO_REFUSED, source=SIL_V)
    own, other = d.BIO_REFUSED.id, d.BIO_REFUSED.id + "9"
    return message([line.replace(own, other) if line.startswith("TXA|") else line for line in lines])


def _frame() -> list[Sample]:
    usual = oru("BAD-0016", [d.BIO_REFUSED])
    framed = b"\x0b" + "\r".join(usual).encode()
    accented = message(
        oru("BAD-0017", [d.BIO_REFUSED], note="Prélèvement à jeun."),
    ).replace("à jeun".encode(), "à jeun".encode("iso-8859-15"))
    return [
        _bad(
            "16-truncated.mllp",
            "raw bytes: a frame cut in the middle of the document, without its end block",
            framed[:4000],
            "MESSAGE_TRUNCATED",
            "",
            "answered if the sender still listens, then the connection is closed: it is sent again",
            "AR",
        ),
        _bad(
            "17-bytes-outside-charset.er7",
            "MSH-18 says UNICODE UTF-8, NTE-3 holds a byte of 8859/15",
            accented,
            "CHARSET_INVALID",
            "NTE^1^3",
        ),
        _bad(
            "18-version.er7",
            "MSH-12 = 9.9",
            message(_with_field("BAD-0018", "MSH", 12, "9.9")),
            "VERSION_UNSUPPORTED",
            "MSH^1^12",
        ),
        _bad(
            "19-message-type.er7",
            "SIU^S12, an appointment",
            message(_appointment()),
            "MESSAGE_TYPE_UNSUPPORTED",
            "MSH^1^9",
        ),
        _bad("20-no-msh.er7", "begins with PID", message(usual[1:]), "MSH_ABSENT", "", "MSA-2 is empty"),
        _bad(
            "21-batch-count.er7",
            "a batch of two messages whose BTS-1 says three",
            message(_batch("BAD-0221", [oru("BAD-0021", [d.BIO_REFUSED]), oru("BAD-0121", [d.BIO_1])], "3")),
            "BATCH_COUNT",
            "BTS^1^1",
            "none of it is taken; MSA-2 is FHS-11",
        ),
        _bad(
            "22-source-not-admitted.er7",
            "MSH-3 = RIS-OLD: configured, but not admitted by the connection",
            message(oru("BAD-0022", [d.BIO_REFUSED], source=RIS_OLD)),
            "SOURCE_UNKNOWN",
            "MSH^1^3",
            "only counted",
            "AR",
        ),
    ]


def _batch(control_id: str, messages: Sequence[Sequence[str]], count: str) -> list[str]:
    """Return messages between FHS, BHS and BTS, FTS; FHS and BHS have the first fields of MSH."""
    opening = "|".join(messages[0][0].split("|")[1:7])
    return [
        f"FHS|{opening}||lot.hl7||{control_id}",
        f"BHS|{opening}||||{control_id}-1",
        *(line for each in messages for line in each),
        segment("BTS", {1: count}),
        segment("FTS", {1: "1"}),
    ]


def _appointment() -> Sequence[str]:
    return [
        header(SIL_V, "SIU^S12^SIU_S12", "BAD-0019", "20260313160000+0100", version="2.5", profile=VOLET),
        segment("SCH", {1: "RDV-1", 6: "ROUTINE^Rendez-vous^HL70276"}),
        pid(ADELE, VALMONT, file_number="26000290"),
    ]


def samples() -> list[Sample]:
    """
    Write `bad/`.

    Returns:
        The samples.
    """
    return [*_identity(), *_document(), *_frame()]
