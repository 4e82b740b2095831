"""What the annotation server does, without HTTP: questions, answers, qualification, review. Imports no FastAPI."""
