-- The plugin `pdp`: asks the PDP about each request, and lets through what is allowed.

local http = require "resty.http"
local ssl = require "ngx.ssl"

local Pdp = { VERSION = "1.0.0", PRIORITY = 1100 }

local WHERE = { scheme = "https", host = "pdp.example.com", port = 9443, ssl_verify = true, ssl_server_name = "pdp.example.com" }
local PATH = "/v1/forward-auth/edge"

-- `headers` of pdp.toml, and what every allow says.
local TAKEN_OVER = { "x-pdp-principal", "x-pdp-user", "x-pdp-decision-id", "x-plan", "x-debug" }

-- These are about a connection and a body, and the PDP gets neither.
local NOT_PASSED_ON = {
    ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["host"] = true, ["keep-alive"] = true,
    ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}

local function read(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
end

-- What only a proxy may say, under any name that a server takes for it.
local function is_spoofed(name)
    return name:find("_", 1, true) or name:find("^x%-pdp%-") or name:find("^ssl%-client%-") or name:find("^client%-cert")
        or name:find("^x%-forwarded%-client%-cert") or name:find("^x%-forwarded%-tls%-") or name:find("^x%-original%-")
        or name == "x-rewrite-url" or name == "x-plan" or name == "x-debug"
end

function Pdp:init_worker()
    self.certificate = assert(ssl.parse_pem_cert(read("/etc/edge/pdp.pem")))
    self.key = assert(ssl.parse_pem_priv_key(read("/etc/edge/pdp-key.pem")))
end

function Pdp:ask(headers)
    local client = assert(http.new())
    client:set_timeouts(200, 200, 300)
    local where = { ssl_client_cert = self.certificate, ssl_client_priv_key = self.key }
    for name, value in pairs(WHERE) do
        where[name] = value
    end
    local connected, problem = client:connect(where)
    if not connected then
        return nil, problem
    end
    local answer, silent = client:request({ method = "GET", path = PATH, headers = headers })
    if not answer then
        client:close()
        return nil, silent
    end
    answer:read_body()
    client:set_keepalive(10000, 32)
    return answer
end

function Pdp:access()
    local headers = {}
    for name, value in pairs(ngx.req.get_headers(0)) do
        if is_spoofed(name) then
            kong.service.request.clear_header(name)
        elseif not NOT_PASSED_ON[name] then
            headers[name] = value
        end
    end
    headers["Host"] = WHERE.host
    headers["x-original-method"] = ngx.var.request_method
    -- As it was received: not normalised.
    headers["x-original-uri"] = ngx.var.request_uri
    headers["x-original-host"] = ngx.var.host
    headers["ssl-client-cert"] = ngx.var.ssl_client_escaped_cert
    headers["ssl-client-verify"] = ngx.var.ssl_client_verify

    local asked, answer, problem = pcall(self.ask, self, headers)
    if not asked or not answer then
        kong.log.err("the PDP did not answer: ", asked and problem or answer)
        return kong.response.exit(503)
    end
    if answer.status ~= 200 then
        local shown = { ["www-authenticate"] = answer.headers["www-authenticate"] }
        return kong.response.exit(answer.status == 401 and 401 or 403, nil, shown)
    end
    for _, name in ipairs(TAKEN_OVER) do
        local value = answer.headers[name]
        if type(value) == "string" and value ~= "" then
            kong.service.request.set_header(name, value)
        else
            kong.service.request.clear_header(name)
        end
    end
end

return Pdp
