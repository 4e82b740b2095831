"""Files: atomic writes, digests, JSON, YAML, CSV, images, tensors. Knows no params and no room above."""
