"""Batches of messages: right ones, with what stands in them, and the same with one fault."""

import msgspec
from hypothesis import strategies as st


class Made(msgspec.Struct, frozen=True):
    """A payload, and the control ids of its messages by batch."""

    payload: bytes
    #: Whether there is FHS and FTS.
    file: bool
    #: Of each batch whether it has BHS and BTS, and its messages.
    groups: tuple[tuple[bool, tuple[str, ...]], ...]

    @property
    def ids(self) -> list[str]:
        return [name for _, names in self.groups for name in names]


def message(name: str) -> bytes:
    """A message that is read and of no concern: its answer is AA."""
    return (
        f"MSH|^~\\&|GAM-V|CHU-VALMONT|DMP-GATEWAY|CHU-VALMONT|20260313||ADT^A60|{name}|P|2.5|||||FRA|UNICODE UTF-8\r"
        f"EVN||20260313\rPID|1||{name}-é^^^CHU-VALMONT^PI\r"
    ).encode()


@st.composite
def batches(draw: st.DrawFn, *, most: int = 4) -> Made:
    """Any batch that is made as the standard says, with counts or without."""
    file = draw(st.booleans())
    headed = draw(st.booleans())
    sizes = draw(st.lists(st.integers(0 if headed else 1, most), min_size=0 if file else 1, max_size=3 if headed else 1))
    if not file and not headed:
        sizes = [draw(st.integers(2, most))]
    numbers = iter(range(1, 1 + sum(sizes)))
    groups = tuple((headed, tuple(f"M-{next(numbers)}" for _ in range(size))) for size in sizes)
    end = draw(st.sampled_from([b"\r", b"\n", b"\r\n"]))
    lines: list[bytes] = [b"FHS|^~\\&|GAM-V|CHU-VALMONT|DMP-GATEWAY|CHU-VALMONT|20260313||nuit.hl7||F-1"] if file else []
    for number, (_, names) in enumerate(groups, 1):
        if headed:
            lines.append(b"BHS|^~\\&|GAM-V|CHU-VALMONT|DMP-GATEWAY|CHU-VALMONT|20260313||||B-%d" % number)
        for name in names:
            lines += message(name).rstrip(b"\r").split(b"\r")
        if headed:
            lines.append(draw(st.sampled_from([b"BTS|%d" % len(names), b"BTS", b"BTS||end"])))
    if file:
        lines.append(draw(st.sampled_from([b"FTS|%d" % len(groups), b"FTS"])))
    return Made(end.join([*lines, b""]), file, groups)
