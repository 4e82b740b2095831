"""Files: atomic writes, digests, JSON, YAML, CSV, images, tensors. This room knows no params and no room above."""
