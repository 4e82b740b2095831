"""The annotation server: people judge candidates in a browser, and the store keeps their judgements."""
