"""Present an evaluation to people: tables, plots, the report page, the model card, the side-by-side page."""
