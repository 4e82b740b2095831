"""Candidates, the pictures that people judge: their manifest, and the import of existing pictures."""
