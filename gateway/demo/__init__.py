"""The minute that shows what the product does: `make demo` (ARCHITECTURE.md)."""
