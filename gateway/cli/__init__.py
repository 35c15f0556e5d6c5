"""The command line: one file per verb; data on standard output, words on standard error."""
