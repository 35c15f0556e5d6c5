"""The HTTP door: HL7v2, CDA and FHIR over HTTP, and what a monitor asks."""
