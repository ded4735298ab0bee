-- Capture: the doorbell, its gate, ticks and epochs.

-- 1: the leader is awake and needs no bell. 2: it sleeps. A sequence, since every session sees its value at once.
create sequence rowcast.gate minvalue 1 maxvalue 2 start 2;
select setval('rowcast.gate', 2);

-- Whoever may insert may see it; none but the leader sets it.
grant select on sequence rowcast.gate to public;

-- The payload is empty: a payload of 8,000 bytes would fail the INSERT.
create or replace function public.notify_sensor_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_notify('sensor_updates', '');
    return null;
end $$;

-- NOTIFY ends group commit, so it is sent only to a leader that sleeps. The trigger's condition looks at the gate
-- without a call of the function, which would cost each writer 7 to 19 us of CPU. It is looked at when the rows are in, so
-- the writer has its transaction id by then.
create trigger sensor_update_trigger after insert on public.sensor_readings
    for each statement when (pg_sequence_last_value('rowcast.gate') is distinct from 1)
    execute function public.notify_sensor_update();
alter table public.sensor_readings enable always trigger sensor_update_trigger;

-- A run of ticks on one Postgres history. Readings with an id up to floor_id are in none of its ticks; its
-- positions begin behind first_tick.
create table rowcast.epoch (
    epoch             bigint      primary key,
    system_identifier bigint      not null,
    timeline          bigint      not null,
    floor_id          bigint      not null,
    first_tick        bigint      not null,
    started_at        timestamptz not null default now()
);

-- Tick n holds the readings visible in its snapshot and not in that of tick n-1, in id order. It never changes.
create table rowcast.tick (
    no     bigint      primary key,
    epoch  bigint      not null,
    snap   pg_snapshot not null,
    rows   bigint      not null,
    leader text        not null,
    at     timestamptz not null default clock_timestamp()
);

-- The readings that became visible between two snapshots. The bounds are parameters: computed inside the query,
-- they would make the planner scan.
create function rowcast.between_snapshots(p_prev pg_snapshot, p_snap pg_snapshot, p_floor bigint, p_limit bigint)
returns setof public.sensor_readings
language plpgsql stable
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
    v_from xid8   := pg_snapshot_xmax(p_prev);
    v_to   xid8   := pg_snapshot_xmax(p_snap);
    v_open xid8[] := array(select pg_snapshot_xip(p_prev));
begin
    return query
        select * from (
            select * from public.sensor_readings r
             where r.xid >= v_from and r.xid < v_to
               and pg_visible_in_snapshot(r.xid, p_snap) and r.id > p_floor
            union all
            select * from public.sensor_readings r
             where r.xid = any (v_open) and pg_visible_in_snapshot(r.xid, p_snap) and r.id > p_floor
        ) fresh order by fresh.id limit p_limit;
end $$;

-- How many those are, and the first id.
create function rowcast.count_between(p_prev pg_snapshot, p_snap pg_snapshot, p_floor bigint, out rows bigint, out first_id bigint)
language plpgsql stable
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
    v_from xid8   := pg_snapshot_xmax(p_prev);
    v_to   xid8   := pg_snapshot_xmax(p_snap);
    v_open xid8[] := array(select pg_snapshot_xip(p_prev));
begin
    select count(*), min(fresh.id) into rows, first_id from (
        select r.id from public.sensor_readings r
         where r.xid >= v_from and r.xid < v_to
           and pg_visible_in_snapshot(r.xid, p_snap) and r.id > p_floor
        union all
        select r.id from public.sensor_readings r
         where r.xid = any (v_open) and pg_visible_in_snapshot(r.xid, p_snap) and r.id > p_floor
    ) fresh;
end $$;

-- A chunk of a tick too large to be read at once: the next p_limit of its readings behind p_after, by a walk over
-- the ids. Sorting the whole tick for every chunk would cost its square.
create function rowcast.tick_chunk(p_tick bigint, p_floor bigint, p_after bigint, p_limit bigint)
returns setof public.sensor_readings
language plpgsql stable
set enable_seqscan = off set enable_sort = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan as $$
declare
    v_prev  pg_snapshot := (select snap from rowcast.tick where no = p_tick - 1);
    v_snap  pg_snapshot := (select snap from rowcast.tick where no = p_tick);
    v_after bigint := coalesce(p_after, (select first_id - 1 from rowcast.count_between(v_prev, v_snap, p_floor)));
begin
    return query
        select * from public.sensor_readings r
         where r.id > v_after and r.id > p_floor
           and r.xid >= pg_snapshot_xmin(v_prev) and r.xid < pg_snapshot_xmax(v_snap)
           and pg_visible_in_snapshot(r.xid, v_snap) and not pg_visible_in_snapshot(r.xid, v_prev)
         order by r.id limit p_limit;
end $$;

-- The leader's step: one snapshot, its new readings, the tick, in one commit. The last row has no id; it says
-- which tick was made (none if nothing was new), how many readings it holds, and how many transactions were open.
-- A rival that made the same tick shows as a unique violation.
create function rowcast.advance(p_epoch bigint, p_prev bigint, p_leader text, p_limit bigint)
returns table (tick bigint, tick_rows bigint, tick_at timestamptz, open_transactions bigint,
               id bigint, sensor_id text, value double precision, "timestamp" timestamptz, metadata text,
               created_at timestamptz, updated_at timestamptz)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    v_snap  pg_snapshot := pg_current_snapshot();
    v_prev  pg_snapshot;
    v_floor bigint;
    v_rows  bigint;
    v_at    timestamptz;
begin
    select t.snap, e.floor_id into strict v_prev, v_floor
      from rowcast.tick t, rowcast.epoch e where t.no = p_prev and e.epoch = p_epoch;
    return query
        select null::bigint, null::bigint, null::timestamptz, null::bigint,
               r.id, r.sensor_id, r.value, r."timestamp", r.metadata::text, r.created_at, r.updated_at
          from rowcast.between_snapshots(v_prev, v_snap, v_floor, p_limit) r;
    get diagnostics v_rows = row_count;
    if v_rows > 0 then
        if v_rows = p_limit then
            v_rows := (select c.rows from rowcast.count_between(v_prev, v_snap, v_floor) c);
        end if;
        insert into rowcast.tick (no, epoch, snap, rows, leader)
            values (p_prev + 1, p_epoch, v_snap, v_rows, p_leader) returning at into v_at;
    end if;
    return query
        select case when v_rows > 0 then p_prev + 1 end, v_rows, v_at, (select count(*) from pg_snapshot_xip(v_snap)),
               null::bigint, null::text, null::double precision, null::timestamptz, null::text,
               null::timestamptz, null::timestamptz;
end $$;

-- The current epoch; a new one where the history is not the one that the last epoch ran on, or where p_rolled_back
-- says that it lost its end.
--
-- A promotion or a point-in-time restore keeps a prefix of the log (same system identifier): its ticks stay valid,
-- and one tick of what survived without a tick opens the new epoch. A dump restored elsewhere brings foreign
-- transaction ids: its readings stay below the floor and its ticks are gone. Epochs are numbered by the clock, so
-- that two restores of one backup do not share a number; their order never depends on it.
create function rowcast.begin_epoch(p_leader text, p_rolled_back boolean, out epoch bigint, out started boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    v_system   bigint := (select system_identifier from pg_control_system());
    v_timeline bigint := ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint;
    v_last     rowcast.epoch;
    v_prev     rowcast.tick;
    v_snap     pg_snapshot;
    v_rows     bigint := 0;
    v_floor    bigint;
begin
    perform pg_advisory_xact_lock(hashtext('rowcast.begin_epoch'));
    select * into v_last from rowcast.epoch order by epoch desc limit 1;
    started := v_last.epoch is null or v_last.system_identifier <> v_system or v_last.timeline <> v_timeline or p_rolled_back;
    epoch := v_last.epoch;
    if not started then
        return;
    end if;
    epoch := greatest(v_last.epoch + 1, extract(epoch from clock_timestamp())::bigint);
    select * into v_prev from rowcast.tick order by no desc limit 1;
    if v_last.system_identifier = v_system and v_prev.no is not null then
        v_floor := v_last.floor_id;
        v_snap := pg_current_snapshot();
        v_rows := (select c.rows from rowcast.count_between(v_prev.snap, v_snap, v_floor) c);
    else
        -- waits for writers under way: an id below the floor must not commit later
        lock table public.sensor_readings in share mode;
        v_floor := coalesce((select max(id) from public.sensor_readings), 0);
        v_snap := pg_current_snapshot();
        delete from rowcast.tick;
    end if;
    insert into rowcast.tick (no, epoch, snap, rows, leader)
        values (coalesce(v_prev.no, 0) + 1, epoch, v_snap, v_rows, p_leader);
    insert into rowcast.epoch (epoch, system_identifier, timeline, floor_id, first_tick)
        values (epoch, v_system, v_timeline, v_floor, coalesce(v_prev.no, 0) + 1);
end $$;

select rowcast.begin_epoch('migrate', false);
