"""This process and its machine: environment, device, project lock, console, logs, network."""
