"""Removal of concepts: one trainer, one small file for each objective, and what a removal is released as."""
