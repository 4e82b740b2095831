"""MLflow: its clients, and one run of its tracking server for each unit."""
