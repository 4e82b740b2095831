"""Logic of the annotation server: questions, answers, qualification, review. Does not import FastAPI."""
