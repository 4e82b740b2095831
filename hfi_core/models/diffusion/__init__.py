"""The model being safeguarded: load, encode text with soft tokens, predict noise, sample."""
