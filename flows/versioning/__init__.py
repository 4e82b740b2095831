"""DVC and git: out-of-date stages, outputs in the cache, and the results branch."""
