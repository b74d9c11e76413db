-- wrk's part: POST one request over and over, say in one line of JSON how it went.
-- BENCH_BODY: path of the body. BENCH_HEADERS: "Name: value", a line each.

wrk.method = "POST"
wrk.body = assert(io.open(os.getenv("BENCH_BODY"), "rb")):read("*a")
for name, value in os.getenv("BENCH_HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do
  wrk.headers[name] = value
end

function done(summary, latency)
  local e = summary.errors
  print(string.format(
    '{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, ' ..
    '"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.timeout, e.status))
end
