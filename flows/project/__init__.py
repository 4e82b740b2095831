"""A project's folder: create it, pin its weights, upgrade its params; presets and the template."""
