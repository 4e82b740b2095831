"""Trace a release back to its judgements, and find what garbage collection must not delete."""
