"""What evaluation asks about a picture; one small file a judge."""
