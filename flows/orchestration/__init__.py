"""Prefect: the plan of a run, tasks, deployments, the wait for people, notifications, and recovery after a crash."""
