"""What was accepted and is not yet in the store: durable, sealed, in lanes that keep a patient's order."""
