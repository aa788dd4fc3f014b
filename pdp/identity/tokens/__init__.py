"""Tokens as evidence: read strictly, verified by the keys of their own issuer, explained.

`jws` reads a token, `jwt` says what it proves; each step between has a module of its own.
"""
