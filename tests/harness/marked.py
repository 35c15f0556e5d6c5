"""
Messages full of marks: texts that stand in one message and its document alone, so that any place that shows one has leaked.

Every mark names the message that brought it.
"""

import base64
import random
import re
from dataclasses import dataclass, replace
from typing import Final

from gateway.demo.messages import sample
from tests.harness.traffic import BIOLOGIST, RIS_V, SIL_V, VALMONT, Establishment, Patient, Source, deposits, document, travelling

_BASE64: Final = re.compile(rb"\^Base64\^([^|\r]*)")
#: What a sample shows of people and content, by the name of the mark that takes its place.
_SHOWN: Final = {
    "TITRE": ("Compte rendu d'examens biologiques", "Radiographie du thorax"),
    "AUTEUR": ("MODELE-BIO", "MODELE-RADIO"),
    "RUE": ("Allée des Ormes", "Impasse du Sacré-Cœur"),
    "EXAMEN": ("Potassium [Moles/Volume] Sérum/Plasma", "Thyréostimuline [Arbitraire/Volume] Sérum/Plasma"),
}


@dataclass(frozen=True, kw_only=True)
class Marked:
    """
    One message with its marks.

    Attributes:
        name: Which; the marks carry its number.
        payload: Without framing.
        marks: Every text that may stand nowhere after a refusal.
        document: uniqueId of its document, if it has one.
    """

    name: str
    payload: bytes
    marks: tuple[str, ...]
    document: str = ""


def mark(number: int, what: str) -> str:
    """Return a mark, with a letter that UTF-8 and 8859-15 write otherwise."""
    return f"CNRY{number:03}{what}É"


def report(
    number: int,
    patient: Patient,
    *,
    act: str = "add",
    of: int = 0,
    source: Source = SIL_V,
    where: Establishment = VALMONT,
    charset: str = "UNICODE UTF-8",
    content: str = "",
    filler: int = 0,
) -> Marked:
    """
    Return a report of a patient whose names, author, title, text, results and remark are marks.

    Args:
        number: Decides the marks.
        patient: Whose identifiers it carries.
        act: `add`, `replace` or `delete`.
        of: Number of the document; that of the marks if 0.
        source: Who sends.
        where: Whose document it is.
        charset: MSH-18.
        content: Makes the text of one document differ from another of its number.
        filler: Bytes that cannot be packed, in the document, marked all over.
    """
    named = {what: mark(number, what) for what in ("TITRE", "AUTEUR", "PRENOM", "TEXTE", "NOM", "RUE", "EXAMEN", "NOTE")}
    value = f"73{number:03}.519{number % 10}"
    who = replace(patient, family=named["NOM"], street=("7", named["RUE"]))
    plain = document(of or 90_000_000 + number, who, where, "imaging" if source is RIS_V else "biology")
    marked = replace(
        plain,
        title=f"{named['TITRE']}{content}",
        author=replace(BIOLOGIST, family=named["AUTEUR"], given=named["PRENOM"]),
        lines=(named["TEXTE"], *_filler(named["TEXTE"], filler)),
        results=tuple(replace(result, label=named["EXAMEN"], value=value) for result in plain.results),
    )
    if source is RIS_V:
        lines = deposits.mdm(f"M{number:05}", marked, act=act, source=source)
    else:
        lines = deposits.oru(f"M{number:05}", [marked], act=act, source=source, charset=charset, note=named["NOTE"])
    payload = travelling(lines)
    if charset == "8859/15":
        payload = payload.decode().encode("iso-8859-15")
    return Marked(name=f"report {number}", payload=payload, marks=(*named.values(), value), document=plain.id)


def _filler(text: str, size: int) -> tuple[str, ...]:
    """Return lines that do not pack well, with a mark in each kilobyte."""
    if not size:
        return ()
    chance = random.Random(size)
    return tuple(f"{text} {base64.b64encode(chance.randbytes(700)).decode()}" for _ in range(size // 1024))


def damaged(number: int, name: str) -> Marked:
    """Return one of the refused samples with marks in its document, its patient and a segment of its own."""
    named = {what: mark(number, what) for what in (*_SHOWN, "NOTE", "TEXTE")}
    message = sample(name)
    found = _BASE64.search(message)
    if found is not None:
        message = message[: found.start(1)] + _marked_base64(found.group(1), named) + message[found.end(1) :]
    message = _shown(message, named)
    if name.endswith(".er7"):
        message += b"NTE|9||" + named["NOTE"].encode() + b"\r"
    return Marked(name=name, payload=message, marks=tuple(named.values()))


def _marked_base64(encoded: bytes, named: dict[str, str]) -> bytes:
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        # Broken on purpose: the mark goes before what breaks it.
        text = named["TEXTE"].encode()
        return base64.b64encode(text + b" " * (-len(text) % 3)) + encoded
    data = _shown(data, named)
    end = data.rfind(b"</")
    comment = b"<!-- " + named["TEXTE"].encode() + b" -->"
    return base64.b64encode(data[:end] + comment + data[end:] if end > 0 else data + named["TEXTE"].encode())


def _shown(data: bytes, named: dict[str, str]) -> bytes:
    for what, texts in _SHOWN.items():
        for text in texts:
            data = data.replace(text.encode(), named[what].encode())
    return data
