"""Figures with intervals, paired tests and distances; NumPy and SciPy only."""
