"""What leads to what: from a release back to judgements, and what garbage collection must not delete."""
