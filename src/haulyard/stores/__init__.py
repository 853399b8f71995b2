"""Objects by key: the Store port, and the stores behind it (S3, a directory, memory)."""
