"""Pretrained models: the location of their weights, CLIP, and text-to-image models of each family."""
