"""Turns torch modules into model files that phones can run, and counts what they cost."""
