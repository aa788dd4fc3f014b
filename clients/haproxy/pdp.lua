-- The action `lua.pdp`: asks the PDP about a request. It sets `txn.pdp_status` to the status of the answer, and nothing where
-- there is none in time; and variables of the same scope to the headers of an allow that haproxy.cfg takes over.

local WHERE, PATH, TIMEOUT = "unix@/etc/edge/pdp.sock", "/v1/forward-auth/edge", 400

-- `headers` of pdp.toml, and what every allow says.
local TAKEN_OVER = {
    ["x-pdp-principal"] = "txn.pdp_principal",
    ["x-pdp-user"] = "txn.pdp_user",
    ["x-pdp-decision-id"] = "txn.pdp_decision_id",
    ["x-plan"] = "txn.pdp_x_plan",
    ["x-debug"] = "txn.pdp_x_debug",
}

-- These are about a connection and a body, and the PDP gets neither.
local NOT_PASSED_ON = {
    ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["host"] = true, ["keep-alive"] = true,
    ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}

core.register_action("pdp", { "http-req" }, function(txn)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not NOT_PASSED_ON[name] then
            headers[name] = {}
            for at = 0, #values do
                headers[name][at + 1] = values[at]
            end
        end
    end
    headers["host"] = { "pdp.example.com" }
    headers["x-original-method"] = { txn.f:method() }
    -- As it was received: not decoded.
    headers["x-original-uri"] = { txn.f:pathq() }
    headers["x-original-host"] = { txn.f:req_hdr("host") or "" }
    headers["client-cert"] = { ":" .. (txn.c:base64(txn.f:ssl_c_der()) or "") .. ":" }

    local answer = core.httpclient():get({
        url = "http://pdp.example.com" .. PATH, dst = WHERE, headers = headers, timeout = TIMEOUT,
    })
    if not answer or not answer.status then
        return
    end
    txn:set_var("txn.pdp_status", answer.status)
    if answer.status == 200 then
        for name, variable in pairs(TAKEN_OVER) do
            local values = answer.headers[name]
            if values and values[0] and not values[1] then
                txn:set_var(variable, values[0])
            end
        end
    end
end)
