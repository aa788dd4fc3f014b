"""pdp: a policy decision point for service-to-service calls.

May principal X do METHOD on PATH of service Y? The packages below answer that, each
layer importing only what stands beneath it (`docs/architecture.md` walks one request
and one edit through them).
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
