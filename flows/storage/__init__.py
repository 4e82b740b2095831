"""S3 through boto3, which no other room imports."""
