-- wrk's side of the benchmarks: replays the writes in the file named by the first argument, and
-- prints what it counted as one line of JSON.
-- The file holds records: a length in decimal, a line feed, that many octets.

local writes = {}
local turn = 0

local function read_writes(path)
   local file = assert(io.open(path, "rb"))
   while true do
      local length = file:read("*n")
      if not length then break end
      file:read(1)
      writes[#writes + 1] = file:read(length)
   end
   file:close()
end

function init(args)
   read_writes(args[1])
   if #writes == 1 then
      -- No `request` function: wrk formats once and then sends without calling Lua.
      wrk.format = function() return writes[1] end
   else
      request = function()
         turn = turn % #writes + 1
         return writes[turn]
      end
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "microseconds": %d, "octets": %.0f, "p99_microseconds": %.0f, "errors": ' ..
      '{"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
      summary.requests, summary.duration, summary.bytes, latency:percentile(99.0),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
