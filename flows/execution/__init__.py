"""One unit runs: in this process, in shards, or on several devices; its inputs are guarded and its cost is recorded."""
