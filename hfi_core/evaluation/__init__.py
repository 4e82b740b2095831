"""The evaluation of model variants: which pictures to draw, what each figure means, comparisons, and gates.

The rows of `reports/evaluation.json` are the variants: the base model and the result of each removal.
"""
