"""Text that cannot steer a terminal."""


def printable(text: str) -> str:
    """Return the text with every control character, marks of direction among them, shown as a dot."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "·" for each in text)
