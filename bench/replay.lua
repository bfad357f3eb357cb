-- For wrk: sends the requests of a file, each as it stands, round and round, and prints one line of
-- JSON in the end. The file holds, for each request, a line with its length and then its bytes.

local requests = {}
local position = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for length in function() return file:read("*l") end do
    requests[#requests + 1] = file:read(tonumber(length))
  end
  file:close()
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "bytes": %d, "bad_status": %d, "broken": %d, ' ..
    '"late": %d, "p50": %d, "p99": %d, "max": %d}\n',
    summary.requests, summary.duration, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
