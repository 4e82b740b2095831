"""Processes that listen: the annotation server, and how it limits its connections."""
