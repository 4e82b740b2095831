"""Prefect: the plan of a run, its tasks, deployments, the wait for people, and recovery after a crash."""
