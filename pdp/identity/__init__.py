"""Evidence in, typed identity out.

This layer turns certificates, headers and tokens into a `Caller` or a `Principal`, or
refuses. What an identity may do is decided elsewhere. It imports leaves only, and it is
the one place that imports `cryptography`.
"""

__all__: list[str] = []
