"""The HL7v2 engine, behind whatever carries its messages: MLLP or HTTP."""
