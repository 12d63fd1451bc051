"""Gives an architecture its accuracy: tasks, the trainer, and where training runs."""
