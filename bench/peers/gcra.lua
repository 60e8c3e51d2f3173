-- A token bucket as its theoretical arrival time, in microseconds of the server's own clock.
-- KEYS[1]: the key; ARGV: what a call costs, and the most that may be owed. Returns 1, or 0 if denied.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tat = tonumber(redis.call('GET', KEYS[1])) or now
if tat < now then
  tat = now
end
local after = tat + ARGV[1]
if after - now > tonumber(ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return 1
