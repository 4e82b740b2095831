"""How the machine computes: device, seeds, padded batches, memory, shards, the training loop, data parallelism.

This room knows no model.
"""
