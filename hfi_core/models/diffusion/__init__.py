"""The text-to-image model: check its folder, load and save it, encode text with soft tokens, predict noise, sample."""
