"""How the machine computes: device, seeds, padded batches, memory, the training loop, data parallelism.

Knows no model.
"""
