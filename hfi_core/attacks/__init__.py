"""Attacks on a safeguarded model: each kind is one file, and tries to bring the removed concept back."""
