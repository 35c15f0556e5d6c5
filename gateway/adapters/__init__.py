"""The doors: one room per way in. Each opens, serves, closes, probes itself and answers for what it took."""
