"""The declared graph of stages, and where a project's files lie. In `hfi_core`, only `stages` may import it."""
