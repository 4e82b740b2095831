"""S3, behind one door: the only room that imports boto3."""
