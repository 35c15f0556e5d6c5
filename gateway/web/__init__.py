"""What the record shows over HTTP to those who may see it."""
