-- Extends an epoch's stream, if it ends where the caller expects.
-- KEYS: the epoch's stream, the stream of epochs.
-- ARGV: the epoch, the expected last id ('' for an empty stream), the seconds that an unused stream lives, the most
-- entries to keep, the oldest id to keep ('' for any), then id, predecessor, provenance and
-- readings of each entry.
local stream, epochs = KEYS[1], KEYS[2]

local newest = redis.call('XREVRANGE', epochs, '+', '-', 'COUNT', 1)[1]
local epoch = newest and string.match(newest[1], '^(%d+)-') or '0'
-- compared as text of equal length: a Lua number holds 53 bits
local function padded(number) return string.rep('0', 20 - #number) .. number end
if padded(epoch) > padded(ARGV[1]) then
    return {'superseded', epoch}
end

local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
local last_id = last and last[1] or ''
if last_id ~= ARGV[2] then
    return {'mismatch', last_id}
end
if padded(epoch) < padded(ARGV[1]) then
    redis.call('XADD', epochs, 'MAXLEN', '8', ARGV[1] .. '-0', 'e', '1')
end

for i = 6, #ARGV, 4 do
    local added = redis.pcall('XADD', stream, ARGV[i], 'p', ARGV[i + 1], 'm', ARGV[i + 2], 'r', ARGV[i + 3])
    if type(added) == 'table' and added.err then
        -- entries at the end were deleted by hand, and the stream still remembers their ids
        redis.call('XSETID', stream, last_id == '' and '0-0' or last_id)
        redis.call('XADD', stream, ARGV[i], 'p', ARGV[i + 1], 'm', ARGV[i + 2], 'r', ARGV[i + 3])
    end
    last_id = ARGV[i]
end

redis.call('XTRIM', stream, 'MAXLEN', '~', ARGV[4])
if ARGV[5] ~= '' then
    redis.call('XTRIM', stream, 'MINID', '~', ARGV[5])
end
redis.call('EXPIRE', stream, ARGV[3])
return {'appended', last_id}
