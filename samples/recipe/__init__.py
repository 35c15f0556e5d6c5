"""The parts from which `build.py` makes the samples: people, segments, documents, situations."""
