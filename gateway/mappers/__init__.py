"""From bytes to facts: one mapper per format reads a submission or a record event, and accounts for it."""
