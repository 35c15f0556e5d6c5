"""The record: one transaction locks the patient, asks the rules, writes the outcome and its trace."""
