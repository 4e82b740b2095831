"""One file per revision. A released file is never edited."""
