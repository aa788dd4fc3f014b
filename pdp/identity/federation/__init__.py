"""Other trust domains, as their bundle endpoints tell of them (SPIFFE Federation).

`document` reads what one tells, `endpoint` asks for one, `followed` keeps the last good one.
"""
