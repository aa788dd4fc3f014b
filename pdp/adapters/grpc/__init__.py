"""gRPC: the same questions, checks and answers as over HTTP, in protocol buffers.

grpcio is imported only here, and only where a gRPC listener is asked for.
"""
