"""Proxies that ask in their own protocols: what they say becomes a question, the decision a verdict.

`forward_auth` answers those that ask over HTTP; `pdp.adapters.grpc.ext_authz` answers Envoy over gRPC.
"""
