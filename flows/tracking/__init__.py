"""MLflow's tracking server: the client, and one MLflow run for each unit."""
