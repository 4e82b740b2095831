"""What people read of an evaluation: figures, tables, plots, one page with its pictures, the model card."""
