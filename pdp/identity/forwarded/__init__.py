"""Certificates and identities that a proxy forwards in headers, once it has terminated mTLS in our place.

`forms` reads any of them; each form of a header has a module of its own.
"""
