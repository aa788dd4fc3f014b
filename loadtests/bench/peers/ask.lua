-- Asks the prepared requests of a file in order, again and again, and says what came of it on a line of JSON.
-- The file: for each request a line with its length, and then its bytes.

local requests = {}
local at = 0

function init(args)
   local file = assert(io.open(args[1], "rb"))
   while true do
      local length = file:read("*n")
      if not length then break end
      file:read(1)
      requests[#requests + 1] = file:read(length)
   end
   file:close()
   -- Where it begins, so that several runs do not all ask the same few first.
   at = tonumber(args[2] or 0) % #requests
end

function request()
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      '\n{"asked":%d,"microseconds":%d,"failed":%d,"p50_us":%.1f,"p99_us":%.1f,"max_us":%.1f}\n',
      summary.requests, summary.duration,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(99), latency.max))
end
