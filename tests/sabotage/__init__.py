"""The suite is tested by breaking what it watches: one guard removed at a time, and a test must turn red."""
