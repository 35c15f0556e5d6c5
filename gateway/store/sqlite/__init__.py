"""The record store on SQLite: one process owns the file, one thread writes it (D-12, D-15)."""
