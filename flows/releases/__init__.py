"""A release after the graph: register it in MLflow, promote it, roll back, publish it, download it."""
