"""A reader with a fault that chance does not come to: the branches on the way to it must lead there."""


def read(data: bytes) -> None:
    """Fail on what begins with four bytes, each a branch of its own."""
    if data[:1] != b"Z":
        return
    if data[1:2] != b"F":
        return
    if data[2:3] != b"A":
        return
    if data[3:4] != b"|":
        return
    raise KeyError("found")
