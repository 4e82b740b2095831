"""Concept removal by distillation: one trainer, one small file an objective."""
