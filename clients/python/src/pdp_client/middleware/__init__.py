"""Puts pdp in front of an application: a request goes on only with an allow whose obligations are fulfilled.

`asgi`, `wsgi` and `grpc` are for servers of these kinds, `peers` has functions that say who is at the other
end. Nothing passes by default, and no error passes.
"""
