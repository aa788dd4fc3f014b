"""Other trust domains, as their bundle endpoints tell of them (SPIFFE Federation).

`bundle` reads a bundle document, `endpoint` asks for one, `followed` keeps the last good one.
"""
