"""
What a log line may hold: ids, codes, counts and durations (D-7, D-22).

Every field has a row in `FIELDS`. A text that does not have its field's form is never written: a short hash stands for it, or
nothing. The hash is keyed with a secret of the process, since the hash of an INS alone is undone by trying them all.
"""

import hashlib
import re
import secrets
from types import MappingProxyType
from typing import Final

import msgspec

#: A value of a line after redaction.
Safe = str | int | float | bool | list[str]

_SECRET: Final = secrets.token_bytes(32)

#: Thirteen to fifteen digits on their own, or a NIR (Corsica included) anywhere: looks like an INS.
_INS_LIKE: Final = re.compile(r"(?<!\d)\d{13,15}(?!\d)|[1-478]\d{4}(?:\d\d|2[AB])\d{6}", re.ASCII)
_SEPARATORS: Final = str.maketrans("", "", "._-")


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What a field may hold."""

    #: The whole text has this form; None: no text at all.
    pattern: re.Pattern[str] | None = None
    #: Whether whole numbers, durations and yes/no are allowed.
    number: bool = False
    #: Free text of a sender: also refused when it looks like an INS or has no digit.
    foreign: bool = False
    #: What stands for a text of another form: its hash, or nothing.
    hashed: bool = True
    #: A list of such values.
    several: bool = False
    help: str


def _text(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


_ID: Final = _text(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_CODE: Final = _text(r"[A-Z][A-Z0-9_]{1,40}")
_WORD: Final = _text(r"[a-z][a-z0-9_]{0,40}")
_PLACE: Final = _text(r"[A-Z][A-Z0-9]{2}(?:\[\d{1,6}\])?(?:-\d{1,3}(?:\[\d{1,6}\])?(?:\.\d{1,3}){0,2})?")
_DOTTED: Final = _text(r"[A-Za-z_][A-Za-z0-9_.]{0,119}(?::\d{1,6})?")
#: The types that the field sends; anything else is `other`, so that no text of a sender becomes a label.
_TYPE: Final = _text(
    r"(?:CDA|FHIR\^[A-Z][A-Za-z]{2,31}|ORU\^(?:R01|W01)|MDM\^T(?:0\d|1[01])|ADT\^(?:A[0-6]\d|Z99)|ORM\^O01|OML\^O\d\d|SIU\^S\d\d|ACK|BAR\^P\d\d|DFT\^P\d\d"
    r"|other)"
)

#: Every field that a line may have.
FIELDS: Final = MappingProxyType({
    "receipt": Form(pattern=_text(r"[A-Za-z0-9._~:-]{1,120}"), help="receipt id given at the door"),
    "door": Form(pattern=_WORD, help="way in"),
    "source": Form(pattern=_ID, help="configured id of the source, or `unknown`"),
    "establishment": Form(pattern=_text(rf"{_ID.pattern}|finess:[0-9AB]{{9}}"), help="key of the establishment"),
    "message": Form(pattern=_text(r"[A-Za-z0-9._-]{1,40}"), foreign=True, help="MSH-10, or a hash of it"),
    "type": Form(pattern=_TYPE, help="message type and trigger event"),
    "act": Form(pattern=_WORD, help="add, replace, delete"),
    "answer": Form(pattern=_text(r"[AC][AER]|NE"), help="MSA-1; NE where the sender asked for none"),
    "verdict": Form(pattern=_WORD, help="what became of it"),
    "rule": Form(pattern=_text(r"[A-Z]{1,3}-?\d{1,3}"), help="number of the rule that decided"),
    "statement": Form(pattern=_text(r"[A-Za-z0-9._~-]{1,140}"), help="id of the statement that refused"),
    "codes": Form(pattern=_CODE, several=True, help="problem codes"),
    "request": Form(pattern=_text(r"[A-Za-z0-9._~:+/=-]{1,128}"), foreign=True, help="X-Request-Id, or a hash of it"),
    "route": Form(pattern=_text(r"[a-z][a-z0-9._]{0,60}"), help="name of a route of the HTTP door"),
    "code": Form(pattern=_CODE, help="problem code"),
    "places": Form(pattern=_PLACE, several=True, hashed=False, help="where in the message, in ER7 notation"),
    "place": Form(pattern=_DOTTED, hashed=False, help="module and line of the program"),
    "kinds": Form(pattern=_WORD, several=True, help="kinds of statements"),
    "reason": Form(pattern=_WORD, help="why, a word of the program"),
    "error": Form(pattern=_DOTTED, help="class of an exception, never its text"),
    "reference": Form(pattern=_text(r"[0-9a-f]{8}"), help="joins an answer and its line"),
    "logger": Form(pattern=_DOTTED, help="name of another library's logger"),
    "digest": Form(pattern=_text(r"[0-9a-f]{12,64}"), help="SHA-256 of the message without MSH-7"),
    "certificate": Form(pattern=_text(r"[0-9a-f]{12}"), help="first digits of the fingerprint of a client certificate"),
    "peer": Form(pattern=_text(r"[0-9a-fA-F.:]{2,45}"), help="network address of a machine"),
    "host": Form(pattern=_text(r"[0-9a-fA-F.:]{2,45}|localhost"), help="address listened on"),
    "version": Form(pattern=_text(r"\d+(?:\.\d+){1,3}[a-z0-9.+]{0,20}"), help="version of the program"),
    "environment": Form(pattern=_text("production|test"), help="environment"),
    "state": Form(pattern=_WORD, help="state of a room"),
    "role": Form(pattern=_text(r"[a-z]{1,20}(?: \d{1,3})?"), help="which process of the gateway"),
    "lane": Form(pattern=_ID, help="lane of the queue"),
    "lanes": Form(pattern=_ID, several=True, help="lanes of the queue"),
    "verb": Form(pattern=_text(r"[a-z]+(?: [a-z-]+)?"), help="verb of the program that mends it"),
    "ring": Form(pattern=_WORD, help="what a key is for"),
    "day": Form(pattern=_text(r"\d{4}-\d\d-\d\d"), help="day, UTC"),
    "job": Form(pattern=_WORD, help="job of the upkeep"),
    "sample": Form(number=True, help="whether the sample configuration runs"),
    "connection": Form(number=True, help="number of the connection in this process"),
    "port": Form(number=True, help="port"),
    "messages": Form(number=True, help="count"),
    "documents": Form(number=True, help="count"),
    "submissions": Form(number=True, help="count"),
    "size": Form(number=True, help="bytes"),
    "count": Form(number=True, help="count"),
    "seconds": Form(number=True, help="duration"),
    "status": Form(number=True, help="exit status, or the number of the signal, negative; of an answer: its HTTP status"),
    "wait": Form(number=True, help="seconds until the next try"),
})  # fmt: skip


def masked(text: str) -> str:
    """
    Return what stands for a text that a line may not hold.

    Args:
        text: Any text.

    Returns:
        ``#`` and 12 hexadecimal digits: the same for the same text during the life of the process, and of no use outside it.
    """
    return "#" + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=_SECRET, digest_size=6).hexdigest()


def insured_like(text: str) -> bool:
    """Return whether a text looks like an INS: 13 to 15 digits, or the form of a NIR inside a longer one."""
    return _INS_LIKE.search(text.translate(_SEPARATORS)) is not None


def safe(name: str, value: object) -> Safe | None:
    """
    Return what a line may hold for a field.

    Args:
        name: Name of the field.
        value: Its value as the program has it.

    Returns:
        The value, the hash that stands for it, or None: nothing is to be written (an unknown field, an empty value, or a value
        of a form that is not hashed).
    """
    form = FIELDS.get(name)
    if form is None or value is None:
        return None
    if form.several:
        if not isinstance(value, (tuple, list)):
            return None
        found = [text for item in value if isinstance(item, str) and (text := _one(form, item)) is not None]
        return list(dict.fromkeys(found)) or None
    if form.number:
        return value if isinstance(value, (int, float)) else None
    return _one(form, str(value)) if isinstance(value, str) else None


def label(name: str, value: str) -> str:
    """
    Return the value of a metric's label: one of a bounded set.

    Args:
        name: A field of `FIELDS`.
        value: Its value.

    Returns:
        The value if it has the field's form and does not look like an INS, else `other`.
    """
    pattern = FIELDS[name].pattern
    return value if pattern is not None and pattern.fullmatch(value) and not insured_like(value) else "other"


def _one(form: Form, text: str) -> str | None:
    if not text or form.pattern is None:
        return None
    fits = form.pattern.fullmatch(text) is not None
    if fits and form.foreign:
        fits = any(character.isdigit() for character in text) and not insured_like(text)
    if fits:
        return text
    return masked(text) if form.hashed else None
