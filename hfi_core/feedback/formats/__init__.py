"""Judgements from and for other tools: one small file a format, and one way in for all of them."""
