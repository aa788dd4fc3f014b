"""Compiled policy sets as flat bytes: written once, read in place, shared by all processes that map them.

An image is made of *parts*, so that the next version writes only what has changed: the rules of one service
(`pdp.image.rules`), what people are told of one file's rules (`pdp.image.texts`), principals
(`pdp.image.principals`), and what names stand for (`pdp.image.environment`). A manifest says which parts a
version has. `pdp.image.writer` and `pdp.image.reader` go from one version to the next.

Nothing here opens files or maps memory: who does hands over buffers. Objects are made when a decision first
needs them, and a bounded number is kept (`pdp.image.keeper`). Never pickle: what is read can be damaged, or
forged, and comes to an `ImageError` then.
"""
