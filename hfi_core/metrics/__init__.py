"""Figures with intervals, paired tests and distances, by NumPy, SciPy and scikit-learn only."""
