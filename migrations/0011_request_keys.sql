-- Nothing twice: what is known of requests and of readings that have a key. Both are known by a SHA-256 of whose key it is and of
-- the key itself, so that neither's length matters to the index.

-- The answer to a request that stored something, for its retries. It is written in the transaction of the readings.
create table rowcast.request_key (
    id           bytea       primary key,
    -- SHA-256 of the request: another one with the same key is refused
    request      bytea       not null,
    status       smallint    not null,
    content_type text,
    body         bytea       not null,
    created_at   timestamptz not null default now(),
    constraint hashes_have_32_bytes check (octet_length(id) = 32 and octet_length(request) = 32)
);
create index request_key_created_at on rowcast.request_key (created_at);

-- What was stored under a reading's own key. Metadata is left to the reading itself, which its retention may delete first. The id
-- covers the sensor and the reading's time as well.
create table rowcast.reading_key (
    id          bytea            primary key,
    reading_id  bigint           not null,
    value       double precision not null,
    "timestamp" timestamptz      not null,
    created_at  timestamptz      not null default now(),
    constraint hash_has_32_bytes check (octet_length(id) = 32)
);
create index reading_key_created_at on rowcast.reading_key (created_at);

-- Claims these requests for the transaction. One that another transaction has claimed and not yet ended is not free, and nobody
-- waits for it: not even if its client's connection is long gone. A request that is known brings its answer. The locks are two
-- numbers each, which no other lock of Rowcast is.
create function rowcast.claim_requests(p_ids bytea[])
returns table (is_free boolean, request bytea, status smallint, content_type text, body bytea)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    v_free boolean[];
begin
    v_free := array(
        select pg_try_advisory_xact_lock(('x' || encode(substring(id from 1 for 4), 'hex'))::bit(32)::integer,
                                         ('x' || encode(substring(id from 5 for 4), 'hex'))::bit(32)::integer)
          from unnest(p_ids) with ordinality as given (id, place) order by place);
    -- a statement of its own: it sees what the lock's last owner has committed
    return query
        select given.is_free, k.request, k.status, k.content_type, k.body
          from unnest(p_ids, v_free) with ordinality as given (id, is_free, place)
          left join rowcast.request_key k on k.id = given.id
         order by given.place;
end $$;

-- Deletes at most p_most of each that are past their time, and says how many of the more numerous it were: a request's answer is
-- kept for a day, a reading's key for a week.
create function rowcast.forget_keys(p_most bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_requests bigint;
    v_readings bigint;
begin
    delete from rowcast.request_key where id = any (array(
        select id from rowcast.request_key where created_at < now() - interval '24 hours' order by created_at limit p_most));
    get diagnostics v_requests = row_count;
    delete from rowcast.reading_key where id = any (array(
        select id from rowcast.reading_key where created_at < now() - interval '7 days' order by created_at limit p_most));
    get diagnostics v_readings = row_count;
    return greatest(v_requests, v_readings);
end $$;

comment on column public.sensor_readings.reading_key is 'the key that its sender gave it';

revoke execute on function rowcast.claim_requests(bytea[]) from public;
revoke execute on function rowcast.forget_keys(bigint) from public;
do $$
begin
    if exists (select from pg_roles where rolname = 'rowcast_ingest') then
        grant select, insert (id, request, status, content_type, body) on rowcast.request_key to rowcast_ingest;
        grant select, insert (id, reading_id, value, "timestamp") on rowcast.reading_key to rowcast_ingest;
        -- a reading with a key gets its id before it is known whether it is new
        grant insert (id) on public.sensor_readings to rowcast_ingest;
        grant execute on function rowcast.claim_requests(bytea[]) to rowcast_ingest;
    end if;
    if exists (select from pg_roles where rolname = 'rowcast_listener') then
        grant execute on function rowcast.forget_keys(bigint) to rowcast_listener;
    end if;
end $$;
