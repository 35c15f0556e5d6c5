"""What is promised, under faults: `python -m tests.proof`."""
