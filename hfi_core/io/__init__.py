"""Files: atomic writes, digests, JSON, YAML, CSV, images, tensors, training curves; and printable text.

This room knows no params and no room above.
"""
