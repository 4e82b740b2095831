"""Logic of the annotation server: tasks, questions, answers, gold questions, qualification, preferences, review.

This room does not import FastAPI.
"""
