"""S3's protocol: requests, answers, signatures, addresses, and the layers between a call and the wire.

The only room that knows it. Everything above speaks to the Store port of `haulyard.stores`.
"""
