"""Source files, watched for --reload."""
