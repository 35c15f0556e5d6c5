"""The HL7v2 door: MLLP frames over TCP, a session per connection, an answer per message."""
