"""FHIR R4: what comes in as resources, and how it is answered."""
