"""Commands of `hfi`, one file each. Heavy imports are inside the functions, so that `hfi --help` is fast."""
