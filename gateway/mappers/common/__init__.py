"""What the readers of every format share when they build a submission."""
