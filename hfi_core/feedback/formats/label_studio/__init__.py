"""Label Studio: tasks to import there, and its JSON and JSON_MIN exports."""
