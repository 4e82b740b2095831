"""A project's folder: create it, pin its weights, upgrade its params, write its schema; presets and the template."""
