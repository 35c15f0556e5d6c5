"""Reads CDA R2 documents of the CI-SIS: header, body, entries, each with its place."""
