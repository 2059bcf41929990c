-- Take one token from the bucket of a key. Time is the server's, so that all gateways agree.
-- KEYS[1] bucket; ARGV[1] tokens a second, ARGV[2] size. Returns {1, 0}, or {0, milliseconds to wait}.
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local rate, size = tonumber(ARGV[1]), tonumber(ARGV[2])
local stored = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(stored[1]) or size, tonumber(stored[2]) or now
tokens = math.min(size, tokens + math.max(0, now - at) * rate)
local taken, wait = 0, 0
if tokens >= 1 then
  taken, tokens = 1, tokens - 1
else
  wait = math.ceil((1 - tokens) / rate * 1000)
end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(now))
redis.call('EXPIRE', KEYS[1], math.ceil(size / rate) + 1)
return {taken, wait}
