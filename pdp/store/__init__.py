"""Where policies come from: directories, repositories and archives, and what is served of them.

Everything here touches the outside world, and everything below it does not. Each source
comes down to one value, `pdp.store.bundle.PolicyBundle`; nothing above `store` cares
where the files lay.
"""
