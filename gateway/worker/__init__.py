"""Consumes the queue in batches, has the store apply them, settles each message with its outcome."""
