"""A project's folder: begin one, pin its weights, upgrade its params; presets and the template."""
