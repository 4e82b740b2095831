"""What is drawn for the evaluation, what its figures mean, how rows are compared, and the gates."""
