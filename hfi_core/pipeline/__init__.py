"""The declared graph of stages, where a project's files lie, and the files of a release.

In `hfi_core`, only `stages` may import this room.
"""
