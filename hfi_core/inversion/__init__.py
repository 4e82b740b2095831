"""Textual inversion: soft tokens from judged pictures, and the attackers that invert a token again."""
