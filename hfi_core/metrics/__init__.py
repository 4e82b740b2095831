"""Pure statistics: intervals, paired tests, distances, ranking. By NumPy, SciPy and scikit-learn only."""
