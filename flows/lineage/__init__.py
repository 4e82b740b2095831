"""Trace a release back to its judgements, and delete data that no release, run or branch needs."""
