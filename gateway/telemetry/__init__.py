"""Event names, the shape of a log line, counters. Ids and codes only: nothing here carries a person."""
