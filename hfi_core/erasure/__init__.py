"""Removal of concepts: trainers, one small file for each objective, and what a removal is released as."""
