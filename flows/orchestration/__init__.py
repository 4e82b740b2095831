"""Prefect: the plan of a run, its tasks, deployments, the wait for people, recovery after a crash."""
