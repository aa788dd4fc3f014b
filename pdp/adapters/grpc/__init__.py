"""gRPC: the same questions, checks and answers as over HTTP, in protocol buffers.

grpcio is imported only here, and only where there is a gRPC listener, or an agent to be asked.
"""
