-- Moves the beat of an epoch's leader, unless a later epoch has begun, which is then returned.
-- KEYS: the epoch's beat, the stream of epochs. ARGV: the epoch, the seconds that an unused beat lives.
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local epoch = newest and string.match(newest[1], '^(%d+)-') or '0'
-- compared as text of equal length: a Lua number holds 53 bits
local function padded(number) return string.rep('0', 20 - #number) .. number end
if padded(epoch) > padded(ARGV[1]) then
    return epoch
end
if padded(epoch) < padded(ARGV[1]) then
    redis.call('XADD', KEYS[2], 'MAXLEN', '8', ARGV[1] .. '-0', 'e', '1')
end
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return ''
