"""MLflow: its clients, one tracked run for each unit, and the repair of addresses in a project that was moved."""
