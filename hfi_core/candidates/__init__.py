"""Candidates, the pictures that people judge: their manifest, and the safe import of existing pictures."""
