"""Protocols: bytes in, bytes out, over the decision service."""
