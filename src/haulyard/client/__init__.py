"""The public face: `AsyncClient`, and `Client`, which is the same without ``await``."""
