"""The embedded world "emblems": a drawn world, the small real pipeline trained on it, and its two judges.

Nothing outside this package may know that the embedded model is the small one.
"""
