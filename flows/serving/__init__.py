"""Processes that listen: the annotation server."""
