"""Pretrained models: where their weights are, CLIP, and text-to-image models of each family."""
