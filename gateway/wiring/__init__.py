"""Builds the rooms from the settings and hands them to each other; the only place that knows them all."""
