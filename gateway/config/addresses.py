"""Addresses to listen on, as the configuration writes them."""

import ipaddress
from typing import Final

#: What is said of a text that is none.
NOT_AN_ADDRESS: Final = "off, or an address, a colon and a port"


def split_address(listen: str) -> tuple[str, int | None]:
    """Return host and port of `ADDRESS:PORT`, an IPv6 address in brackets; None for a port that is none."""
    host, _, port = listen.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else None
    if ":" in host and (host[:1], host[-1:]) != ("[", "]"):
        number = None
    return host.removeprefix("[").removesuffix("]"), number if number is not None and number <= 65_535 else None


def join_address(host: str, port: int) -> str:
    """Return what `split_address` reads."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback_host(host: str) -> bool:
    """Return whether an address to listen on is of the loopback interface."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
