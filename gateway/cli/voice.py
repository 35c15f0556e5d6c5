"""The two voices of a verb, by rich: data on standard output, words on standard error."""

from typing import Any, Final

from rich.console import Console

from gateway.cli.printable import printable


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


class Voice(Console):
    """
    A rich console that prints plain text when it is called: ``err("No message yet.")``.

    Whatever it is given as text is made printable, line feeds apart: what came from a message never steers the terminal.
    """

    def print(self, *objects: object, **options: Any) -> None:
        """Print as rich does, every text made printable."""
        super().print(*(_lines(each) if isinstance(each, str) else each for each in objects), **options)

    def __call__(self, text: str = "", style: str = "") -> None:
        """
        Print one line of text, coloured on a terminal only.

        Args:
            text: Printed as it is: no markup, no folding.
            style: A style of rich, ``red``, ``bold green``.
        """
        self.print(text, style=style)


#: Data, on standard output.
out: Final = Voice(soft_wrap=True, highlight=False, markup=False, emoji=False)

#: Words, on standard error.
err: Final = Voice(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
