-- Requests as a shop gets them: nine headers, varying paths, a cookie that differs from client to client.
-- They are written out before the load begins, so that the load costs little beside what it measures.
local requests = {}
local counter = 0
local threads = 0
function setup(thread) threads = threads + 1; thread:set("id", threads) end
function init(args)
  for n = 1, 5000 do
    local area = n % 20
    local path = "/area" .. area .. "/items/" .. (n % 997) .. "?page=" .. (n % 7)
    requests[n] = wrk.format("GET", path, {
      ["Host"] = "shop.example",
      ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
      ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
      ["Accept-Language"] = "en-GB,en;q=0.5",
      ["Accept-Encoding"] = "gzip, deflate, br",
      ["Referer"] = "https://shop.example/area" .. area,
      ["Cookie"] = "fig_unit=u" .. (id * 1000000 + n) .. "; basket=" .. (n % 31),
      ["Sec-Fetch-Mode"] = "cors",
      ["Cache-Control"] = "no-cache",
    })
  end
end
function request()
  counter = counter % 5000 + 1
  return requests[counter]
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'REPORT {"requests": %d, "rate": %f, "p50": %f, "p99": %f, "failed": %d, "refused": %d}\n',
    summary.requests, summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    e.connect + e.read + e.write + e.timeout, e.status))
end
