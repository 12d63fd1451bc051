"""Decides which architecture to try next, and keeps what became of each."""
