-- Bounds in bytes: what a reading may hold, what of it is told, and how much one page of the log brings.

-- Holds for new rows; a table may have larger ones from before, which NOT VALID leaves alone.
alter table public.sensor_readings add constraint metadata_is_at_most_1_mib
    check (pg_column_size(metadata) <= 1048576) not valid;

-- The text of metadata that may be large, and '' where it is larger than 1 MiB or than Postgres can print: a jsonb of
-- 60 kB can hold numbers of 130,000 digits, and no text may have 1 GiB.
create function rowcast.told_large(p_metadata jsonb) returns text
language plpgsql stable parallel safe as $$
declare
    v_text text;
begin
    v_text := p_metadata::text;
    return case when octet_length(v_text) <= 1048576 then v_text else '' end;
exception when program_limit_exceeded or out_of_memory or internal_error then
    return '';
end $$;

-- The text of metadata as readers are told it. Longer than 1 MiB, it is cut or empty, and crate `wire` says "truncated".
-- What is small and not compressed needs no call, which would cost the log 2 us a reading.
create function rowcast.told(p_metadata jsonb) returns text
language sql stable parallel safe as $$
    select case when pg_column_size(p_metadata) <= 8000 and pg_column_compression(p_metadata) is null
                then left(p_metadata::text, 1048577) else rowcast.told_large(p_metadata) end
$$;

-- How many bytes of metadata its readings have, as they are told; null where it was too much to be read at once.
alter table rowcast.tick add column bytes bigint;

-- The readings of whole ticks, up to the one that makes p_bytes of metadata full.
create function rowcast.ticks_page(p_prev pg_snapshot, p_snap pg_snapshot, p_floor bigint, p_bytes bigint)
returns table (xid text, id bigint, sensor_id text, value double precision, "timestamp" timestamptz, metadata text,
               created_at timestamptz, updated_at timestamptz)
language plpgsql stable as $$
#variable_conflict use_column
declare
    v_bytes bigint := 0;
begin
    for xid, id, sensor_id, value, "timestamp", metadata, created_at, updated_at in
        select r.xid::text, r.id, r.sensor_id, r.value, r."timestamp", rowcast.told(r.metadata), r.created_at, r.updated_at
          from rowcast.between_snapshots(p_prev, p_snap, p_floor, null) r
    loop
        return next;
        v_bytes := v_bytes + octet_length(metadata);
        exit when v_bytes >= p_bytes;
    end loop;
end $$;

-- A part of a tick: the next p_rows of its readings behind p_after, up to the one that makes p_bytes of metadata full.
create function rowcast.tick_page(p_tick bigint, p_floor bigint, p_after bigint, p_rows bigint, p_bytes bigint)
returns table (id bigint, sensor_id text, value double precision, "timestamp" timestamptz, metadata text,
               created_at timestamptz, updated_at timestamptz)
language plpgsql stable as $$
#variable_conflict use_column
declare
    v_bytes bigint := 0;
begin
    for id, sensor_id, value, "timestamp", metadata, created_at, updated_at in
        select r.id, r.sensor_id, r.value, r."timestamp", rowcast.told(r.metadata), r.created_at, r.updated_at
          from rowcast.tick_chunk(p_tick, p_floor, p_after, p_rows) r
    loop
        return next;
        v_bytes := v_bytes + octet_length(metadata);
        exit when v_bytes >= p_bytes;
    end loop;
end $$;
