"""Removal of concepts: one file for each method, the shared trainers and roll-outs, the LoRA, and the saved result."""
