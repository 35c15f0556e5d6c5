"""Reads HL7v2 messages, and writes the answers that go back: segments, fields, acknowledgements."""
