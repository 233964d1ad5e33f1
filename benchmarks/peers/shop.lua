-- Sends the requests that benchmarks/load.py wrote into a file, in turn; they were written out before the load begins,
-- so that the load costs little beside what it measures.
local requests = {}
local counter = 0
function init(args)
  local file = assert(io.open(args[1], "rb"))
  for request in file:read("*a"):gmatch("[^\1]+") do requests[#requests + 1] = request end
  file:close()
end
function request()
  counter = counter % #requests + 1
  return requests[counter]
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'REPORT {"requests": %d, "rate": %f, "bytes": %f, "p50": %f, "p99": %f, "failed": %d, "refused": %d}\n',
    summary.requests, summary.requests / summary.duration * 1e6, summary.bytes,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    e.connect + e.read + e.write + e.timeout, e.status))
end
