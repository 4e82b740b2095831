"""Run one unit: in this process, in shards, or on several devices; guard its inputs and record its cost."""
