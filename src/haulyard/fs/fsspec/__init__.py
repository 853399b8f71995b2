"""`HaulFileSystem`: S3 for whatever speaks fsspec. Needs the extra ``fs``."""
