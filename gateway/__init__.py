"""An HL7v2, CDA and FHIR gateway that feeds France's shared medical record (DMP)."""
