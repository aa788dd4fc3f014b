-- The plugin `pdp` has nothing to set: what it needs stands in handler.lua.

return {
    name = "pdp",
    fields = { { config = { type = "record", fields = {} } } },
}
