"""ER7 messages built bottom-up, from sub-component to message, with what each value means; and the same ones damaged."""

import dataclasses
import functools
from collections.abc import Sequence

from hypothesis import strategies as st

#: What may separate: ASCII punctuation, and two characters that take two bytes in UTF-8.
SEPARATORS = "|^~\\&#!$%*+:;=?@_{}<>/"
WIDE = "˜§"

CODECS = ("utf-8", "iso8859-15", "iso8859-1", "ascii")
CHARSET = {"utf-8": "UNICODE UTF-8", "iso8859-15": "8859/15", "iso8859-1": "8859/1", "ascii": "ASCII"}
LETTERS = {
    "utf-8": "aZ09 .-'éèçŒ€漢\u2028\x85",
    "iso8859-15": "aZ09 .-'éèçŒ€",
    "iso8859-1": "aZ09 .-'éèç¤",
    "ascii": "aZ09 .-'",
}
NAMES = ("PID", "PV1", "OBX", "NTE", "ZFA", "PRT", "ZBE")

#: A sub-component: pieces as written and as meant.
Sub = tuple[str, str]
Tree = list[list[list[list[Sub]]]]


@dataclasses.dataclass(frozen=True)
class Built:
    """A message and what was put into it."""

    codec: str
    #: MSH-1, then MSH-2: field, component, repetition, escape, sub-component.
    separators: str
    #: Name and fields (repetitions, components, sub-components) of each segment behind MSH.
    segments: list[tuple[str, Tree]]
    ends: Sequence[str]
    bom: bool

    def text(self, ends: Sequence[str] | None = None) -> str:
        field, component, repetition, _, sub = self.separators
        names = dict(zip(self.separators, "FSRET", strict=True))
        escape = self.separators[3]

        def written(value: str) -> str:
            return "".join(f"{escape}{names[c]}{escape}" if c in names else c for c in value)

        event = component.join(["ADT", "A01"])
        known = ["GAM", "CHU", "", "", "20260101", "", event, "1", "P", "2.5", "", "", "", "", "FRA"]
        msh = field.join(["MSH", self.separators[1:], *known, written(CHARSET[self.codec])])
        lines = [msh]
        for name, tree in self.segments:
            cells = [
                repetition.join(component.join(sub.join(w for w, _ in part) for part in rep) for rep in cell) for cell in tree
            ]
            lines.append(field.join([name, *cells]))
        ends = ends or self.ends
        return "".join(line + ends[number % len(ends)] for number, line in enumerate(lines))

    @property
    def payload(self) -> bytes:
        return (b"\xef\xbb\xbf" if self.bom else b"") + self.text().encode(self.codec)


@st.composite
def separators(draw: st.DrawFn, codec: str) -> str:
    if draw(st.booleans()):
        return "|^~\\&"
    pool = SEPARATORS + (WIDE if codec == "utf-8" else "")
    # Characters with a meaning inside an escape, or that are part of a value below, would only hide what is meant.
    return "".join(draw(st.lists(st.sampled_from(pool), min_size=5, max_size=5, unique=True)))


def pieces(codec: str, marks: str) -> st.SearchStrategy[tuple[str, str]]:
    """Literal text or one escape, as written and as meant."""
    field, component, repetition, escape, sub = marks
    letters = "".join(c for c in LETTERS[codec] if c not in marks)
    known = {"F": field, "S": component, "T": sub, "R": repetition, "E": escape, ".br": "\n", "H": "", "N": "", ".sp2": "\n\n"}
    hexadecimal = {"X" + character.encode(codec).hex().upper(): character for character in letters + "\r\n\t"}
    unknown = {name: f"{escape}{name}{escape}" for name in ("Zx", "", "X0", "XZZ", "Cab", "f", ".in4")}
    escapes = {
        written: meant
        for name, meant in {**known, **hexadecimal, **unknown}.items()
        if not set(name) & set(marks)
        for written in [f"{escape}{name}{escape}"]
    }
    return st.text(letters, max_size=6).map(lambda t: (t, t)) | st.sampled_from(sorted(escapes.items()))


@functools.cache
def segments(codec: str, marks: str) -> st.SearchStrategy[list[tuple[str, Tree]]]:
    """Segments other than MSH, from the sub-component up."""

    def joined(parts: list[tuple[str, str]]) -> Sub:
        return "".join(written for written, _ in parts), "".join(meant for _, meant in parts)

    sub = st.lists(pieces(codec, marks), max_size=3).map(joined) | st.just(('""', '""'))
    part = st.lists(sub, min_size=1, max_size=3)
    repetition = st.lists(part, min_size=1, max_size=3)
    cell = st.lists(repetition, min_size=1, max_size=3)
    return st.lists(st.tuples(st.sampled_from(NAMES), st.lists(cell, max_size=4)), max_size=5)


@st.composite
def messages(draw: st.DrawFn) -> Built:
    codec = draw(st.sampled_from(CODECS))
    marks = draw(separators(codec))
    return Built(
        codec=codec,
        separators=marks,
        segments=draw(segments(codec, marks)),
        ends=draw(st.lists(st.sampled_from(["\r", "\n", "\r\n", "\r\r", "\r\n \r\n"]), min_size=1, max_size=3)),
        bom=codec == "utf-8" and draw(st.booleans()),
    )


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message with some bytes cut out, put in, doubled or overwritten."""
    payload = bytearray(draw(messages()).payload)
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(payload)))
        end = min(len(payload), begin + draw(st.integers(0, 12)))
        match draw(st.sampled_from(["cut", "insert", "double", "overwrite", "end"])):
            case "cut":
                del payload[begin:end]
            case "insert":
                payload[begin:begin] = draw(
                    st.binary(max_size=8) | st.sampled_from([b"\rMSH|", b"\0", b"\\X00\\", b"\r", b"||||"])
                )
            case "double":
                payload[begin:begin] = payload[begin:end]
            case "overwrite":
                payload[begin:end] = draw(st.binary(min_size=end - begin, max_size=end - begin))
            case "end":
                del payload[end:]
    return bytes(payload)


#: Anything that may come over the wire.
hostile = (
    damaged()
    | st.binary(max_size=200)
    | st.binary(max_size=200).map(lambda tail: b"MSH" + tail)
    | st.binary(max_size=100).map(lambda tail: b"MSH|^~\\&|" + tail)
)
