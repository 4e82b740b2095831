"""The embedded model: a small diffusion pipeline for tests and the demo, its CLIP, and its two judges.

All are trained on drawings of a small world of objects and badges with emblems. Code outside this package must treat
the embedded model like any other model.
"""
