-- What it takes to prove that nothing was lost, and to follow one reading: each tick counts the readings of its epoch, and the
-- log gives each reading's trace context. The functions of before stay for listeners and gateways of the release before.

-- How many readings the epoch has in its ticks, up to and with this one; null in ticks of a release before, after which the
-- count begins at 0 again. Only the difference of two counts means something.
alter table rowcast.tick add column total bigint;

-- A context that its trace can have, whatever a writer stored.
create function rowcast.trace_of(p_traceparent text) returns text
language sql immutable parallel safe as $$
    select case when octet_length(p_traceparent) = 55 then p_traceparent end
$$;

-- The leader's step as advance() of 0007, with the count and the trace contexts.
create function rowcast.take_tick(p_epoch bigint, p_prev bigint, p_leader text, p_rows bigint, p_bytes bigint, p_doubles boolean)
returns table (tick bigint, tick_rows bigint, tick_total bigint, tick_at timestamptz, open_transactions bigint,
               id bigint, sensor_id text, value double precision, "timestamp" timestamptz, metadata text,
               created_at timestamptz, updated_at timestamptz, traceparent text)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    v_snap     pg_snapshot := pg_current_snapshot();
    v_prev     pg_snapshot;
    v_total    bigint;
    v_rows     bigint := 0;
    v_bytes    bigint := 0;
    v_last     bigint;
    v_distinct bigint;
    v_at       timestamptz;
begin
    select t.snap, t.total into strict v_prev, v_total
      from rowcast.tick t, rowcast.epoch e where t.no = p_prev and e.epoch = p_epoch;
    for id, sensor_id, value, "timestamp", metadata, created_at, updated_at, traceparent in
        select r.id, r.sensor_id, r.value, r."timestamp", rowcast.told(r.metadata), r.created_at, r.updated_at,
               rowcast.trace_of(r.traceparent)
          from rowcast.between_snapshots(v_prev, v_snap, 0, p_rows) r
    loop
        if id = v_last and not p_doubles then
            raise exception 'the id % stands twice', id using errcode = 'RC001';
        end if;
        v_last := id;
        return next;
        v_rows := v_rows + 1;
        v_bytes := v_bytes + octet_length(metadata);
        exit when v_bytes >= p_bytes;
    end loop;
    if v_rows > 0 then
        if v_rows = p_rows or v_bytes >= p_bytes then
            select count(*), count(distinct f.id) into v_rows, v_distinct
              from rowcast.between_snapshots(v_prev, v_snap, 0, null) f;
            if v_rows > v_distinct and not p_doubles then
                raise exception 'an id stands twice' using errcode = 'RC001';
            end if;
            v_bytes := null;
        end if;
        if current_setting('synchronous_commit') = 'off' then
            perform set_config('synchronous_commit', 'on', true);
        end if;
        v_total := coalesce(v_total, 0) + v_rows;
        insert into rowcast.tick (no, epoch, snap, rows, bytes, total, leader)
            values (p_prev + 1, p_epoch, v_snap, v_rows, v_bytes, v_total, p_leader) returning at into v_at;
    end if;
    return query
        select case when v_rows > 0 then p_prev + 1 end, v_rows, v_total, v_at,
               (select count(*) from pg_snapshot_xip(v_snap)),
               null::bigint, null::text, null::double precision, null::timestamptz, null::text,
               null::timestamptz, null::timestamptz, null::text;
end $$;

-- So that listeners of the release before, while they still lead, make ticks that count.
create or replace function rowcast.advance(p_epoch bigint, p_prev bigint, p_leader text, p_rows bigint, p_bytes bigint, p_doubles boolean)
returns table (tick bigint, tick_rows bigint, tick_at timestamptz, open_transactions bigint,
               id bigint, sensor_id text, value double precision, "timestamp" timestamptz, metadata text,
               created_at timestamptz, updated_at timestamptz)
language sql volatile as $$
    select t.tick, t.tick_rows, t.tick_at, t.open_transactions,
           t.id, t.sensor_id, t.value, t."timestamp", t.metadata, t.created_at, t.updated_at
      from rowcast.take_tick(p_epoch, p_prev, p_leader, p_rows, p_bytes, p_doubles) t
$$;

-- The first tick of an epoch holds what survived of the history before, which is in no stream of this epoch: it counts 0.
create function rowcast.start_count() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    update rowcast.tick set total = 0 where no = new.first_tick;
    return null;
end $$;
create trigger epoch_starts_count after insert on rowcast.epoch
    for each row execute function rowcast.start_count();

-- An epoch that has no reading yet begins at 0, too.
update rowcast.tick t set total = 0
  from rowcast.epoch e where e.first_tick = t.no and t.no = (select max(no) from rowcast.tick);

-- As ticks_page() of 0006, with the trace contexts.
create function rowcast.log_page(p_prev pg_snapshot, p_snap pg_snapshot, p_floor bigint, p_bytes bigint)
returns table (xid text, id bigint, sensor_id text, value double precision, "timestamp" timestamptz, metadata text,
               created_at timestamptz, updated_at timestamptz, traceparent text)
language plpgsql stable as $$
#variable_conflict use_column
declare
    v_bytes bigint := 0;
begin
    for xid, id, sensor_id, value, "timestamp", metadata, created_at, updated_at, traceparent in
        select r.xid::text, r.id, r.sensor_id, r.value, r."timestamp", rowcast.told(r.metadata), r.created_at, r.updated_at,
               rowcast.trace_of(r.traceparent)
          from rowcast.between_snapshots(p_prev, p_snap, p_floor, null) r
    loop
        return next;
        v_bytes := v_bytes + octet_length(metadata);
        exit when v_bytes >= p_bytes;
    end loop;
end $$;

-- As tick_page() of 0006, with the trace contexts.
create function rowcast.log_chunk(p_tick bigint, p_floor bigint, p_after bigint, p_rows bigint, p_bytes bigint)
returns table (id bigint, sensor_id text, value double precision, "timestamp" timestamptz, metadata text,
               created_at timestamptz, updated_at timestamptz, traceparent text)
language plpgsql stable as $$
#variable_conflict use_column
declare
    v_bytes bigint := 0;
begin
    for id, sensor_id, value, "timestamp", metadata, created_at, updated_at, traceparent in
        select r.id, r.sensor_id, r.value, r."timestamp", rowcast.told(r.metadata), r.created_at, r.updated_at,
               rowcast.trace_of(r.traceparent)
          from rowcast.tick_chunk(p_tick, p_floor, p_after, p_rows) r
    loop
        return next;
        v_bytes := v_bytes + octet_length(metadata);
        exit when v_bytes >= p_bytes;
    end loop;
end $$;

-- For how many days after this one there is a partition.
create function rowcast.days_ahead() returns integer
language sql stable security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
    select greatest(coalesce(max(upto)::date - current_date - 1, 0), 0) from rowcast.partition
$$;
