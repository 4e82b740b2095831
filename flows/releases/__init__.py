"""A release after the graph: register it in MLflow, promote it, roll back, compare versions, publish, download."""
