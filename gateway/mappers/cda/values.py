"""Data types of a CDA header: identifiers (II) and codes (CD)."""

from typing import Final

from gateway.mappers.cda.walk import Node
from gateway.model.code import Code, Identifier
from gateway.model.ins import ROOTS

#: An OID written as a URI.
_URN: Final = "urn:oid:"


def read_id(node: Node | None) -> Identifier | None:
    """
    Read an II.

    Returns:
        Extension under root, or the root itself, without the spaces around; None if it is absent, without root, or has a
        nullFlavor. Only of an INS the extension stays as written: nothing of it is repaired.

    Source: CI-SIS, CDA R2, II.
    """
    if node is None or node.is_null:
        return None
    root, extension = root_of(node), node.get("extension")
    if root is None:
        return None
    if extension is not None and root not in ROOTS:
        extension = extension.strip() or None
    return Identifier(value=root) if extension is None else Identifier(value=extension, authority=root)


def root_of(node: Node) -> str | None:
    """Return the root of an II as a bare OID: without spaces around it and without ``urn:oid:``; None if there is none."""
    written = (node.get("root") or "").strip()
    return (written[len(_URN) :] if written[: len(_URN)].casefold() == _URN else written) or None


def id_text(node: Node | None) -> str | None:
    """Return an II as one text: ``root`` or ``root^extension``; None as for `read_id`."""
    found = read_id(node)
    if found is None:
        return None
    return found.value if found.authority is None else f"{found.authority}^{found.value}"


def id_attribute(node: Node) -> str:
    """Return the name of the attribute that holds what tells this II from others of its authority."""
    return "root" if node.get("extension") is None else "extension"


def first_id(nodes: list[Node], *, root: str | None = None) -> Node | None:
    """Return the first II that is an identifier, one under `root` before all others."""
    usable = [node for node in nodes if read_id(node) is not None]
    preferred = [node for node in usable if root_of(node) == root]
    return next(iter(preferred or usable), None)


def code_of(node: Node | None) -> Code | None:
    """
    Read a CD without its translations.

    Returns:
        The code as written; None if there is no `@code`.
    """
    code = node.get("code") if node is not None else None
    if node is None or code is None:
        return None
    return Code(code=code, system=node.get("codeSystem"), display=node.get("displayName"))


def coded(node: Node | None) -> Node | None:
    """Return the element that holds the code of a CD: itself, else its first translation that has one."""
    if node is None or node.get("code") is not None:
        return node
    return next((other for other in node.all("translation") if other.get("code") is not None), None)
