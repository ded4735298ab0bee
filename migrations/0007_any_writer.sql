-- Every writer's rows are told: which transaction wrote a row is the database's to say, ids are counted from 1, and no two
-- readings share a position. What lies before an epoch is known by its transaction alone, never by its id.

-- Only a row that says otherwise than its transaction, or whose id no position could name, costs a call.
create function rowcast.correct_row() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    new.xid := pg_current_xact_id();
    if new.id <= 0 then
        new.id := nextval('public.sensor_readings_id_seq');
    end if;
    return new;
end $$;

-- Rows from before the migration that no tick could show: of transactions that have not begun, or with such an id. What an
-- epoch left out by its id is history, and says so by a transaction before all others.
do $$
declare
    v_floor bigint := (select floor_id from rowcast.epoch order by epoch desc limit 1);
    v_first pg_snapshot := (select snap from rowcast.tick order by no limit 1);
begin
    update public.sensor_readings set xid = '2'
     where xid >= pg_snapshot_xmin(v_first) and id between 1 and v_floor and not pg_visible_in_snapshot(xid, v_first);
    update public.sensor_readings
       set xid = pg_current_xact_id(), id = case when id <= 0 then nextval('public.sensor_readings_id_seq') else id end
     where xid > pg_current_xact_id() or id <= 0;
    update rowcast.epoch set floor_id = 0;
end $$;

-- Always: rows that are applied by replication, or loaded with triggers off for replicas, are readings like others.
create trigger sensor_readings_correct_row before insert on public.sensor_readings
    for each row when (new.xid is distinct from pg_current_xact_id() or new.id <= 0)
    execute function rowcast.correct_row();
alter table public.sensor_readings enable always trigger sensor_readings_correct_row;

-- An UPDATE tells nothing, so it may not move a row to another tick. '2' is begin_epoch()'s own mark for history.
create function rowcast.keep_xid() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.xid := old.xid;
    return new;
end $$;
create trigger sensor_readings_keep_xid before update of xid on public.sensor_readings
    for each row when (new.xid is distinct from old.xid and new.xid is distinct from '2'::xid8)
    execute function rowcast.keep_xid();
alter table public.sensor_readings enable always trigger sensor_readings_keep_xid;

-- A transaction that has notified cannot be prepared. One that will be sets rowcast.doorbell to off, and is found by the
-- leader's poll, within a second of its COMMIT PREPARED.
create or replace function public.notify_sensor_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if current_setting('rowcast.doorbell', true) is distinct from 'off' then
        perform pg_notify('sensor_updates', '');
    end if;
    return null;
end $$;

-- Ids that were given may stand twice, in two partitions. Within one tick, all but the first get ids of their own before they
-- are told: behind all others, since a sequence that was set back gives ids that are taken, and below 2^53, which is as far as
-- clients in JavaScript count. A row that another transaction is changing is left as it is: waiting for it would hold up everyone.
create function rowcast.renumber(p_prev bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_prev  pg_snapshot := (select snap from rowcast.tick where no = p_prev);
    v_last  bigint := coalesce((select max(id) from public.sensor_readings where id < 4503599627370496), 0);
    v_count bigint;
begin
    with doubled as materialized (
        select r.id, r.created_at from public.sensor_readings r
          join (select f.id, f.created_at, row_number() over (partition by f.id order by f.created_at) as place
                  from rowcast.between_snapshots(v_prev, pg_current_snapshot(), 0, null) f) f
            on f.id = r.id and f.created_at = r.created_at
         where f.place > 1
           for update of r skip locked
    )
    update public.sensor_readings r set id = v_last + doubled.place
      from (select id, created_at, row_number() over () as place from doubled) doubled
     where r.id = doubled.id and r.created_at = doubled.created_at;
    get diagnostics v_count = row_count;
    return v_count;
end $$;

-- The leader's step as in 0002, cut by bytes as well, and durable whatever the database's default says. p_doubles says that
-- two readings may share an id; else they end the call with the error RC001. The last row has no id and says what was done.
-- The function of 0002 stays for listeners of the release before.
create function rowcast.advance(p_epoch bigint, p_prev bigint, p_leader text, p_rows bigint, p_bytes bigint, p_doubles boolean)
returns table (tick bigint, tick_rows bigint, tick_at timestamptz, open_transactions bigint,
               id bigint, sensor_id text, value double precision, "timestamp" timestamptz, metadata text,
               created_at timestamptz, updated_at timestamptz)
language plpgsql volatile as $$
#variable_conflict use_column
declare
    v_snap     pg_snapshot := pg_current_snapshot();
    v_prev     pg_snapshot;
    v_rows     bigint := 0;
    v_bytes    bigint := 0;
    v_last     bigint;
    v_distinct bigint;
    v_at       timestamptz;
begin
    select t.snap into strict v_prev from rowcast.tick t, rowcast.epoch e where t.no = p_prev and e.epoch = p_epoch;
    for id, sensor_id, value, "timestamp", metadata, created_at, updated_at in
        select r.id, r.sensor_id, r.value, r."timestamp", rowcast.told(r.metadata), r.created_at, r.updated_at
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
        insert into rowcast.tick (no, epoch, snap, rows, bytes, leader)
            values (p_prev + 1, p_epoch, v_snap, v_rows, v_bytes, p_leader) returning at into v_at;
    end if;
    return query
        select case when v_rows > 0 then p_prev + 1 end, v_rows, v_at, (select count(*) from pg_snapshot_xip(v_snap)),
               null::bigint, null::text, null::double precision, null::timestamptz, null::text,
               null::timestamptz, null::timestamptz;
end $$;

-- What a foreign history brought: rows that are there, but say that they are of a transaction that has not ended here. In a
-- younger cluster its ids lie in the future. Marks at most p_limit of them as history and says how many; none otherwise.
create function rowcast.adopt(p_limit bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_count bigint := 0;
begin
    if (select system_identifier from rowcast.epoch order by epoch desc limit 1)
       is distinct from (select system_identifier from pg_control_system()) then
        with foreign_rows as materialized (
            select r.id, r.created_at from public.sensor_readings r
             where r.xid >= pg_snapshot_xmin(pg_current_snapshot())
               and not pg_visible_in_snapshot(r.xid, pg_current_snapshot())
             order by r.xid limit p_limit
        )
        update public.sensor_readings r set xid = '2'
          from foreign_rows f where r.id = f.id and r.created_at = f.created_at;
        get diagnostics v_count = row_count;
    end if;
    return v_count;
end $$;

-- As in 0002, but what is there when a foreign history's epoch begins is history by its transaction, whatever its id. The
-- leader calls adopt() first, so that little is left to be marked under the lock.
create or replace function rowcast.begin_epoch(p_leader text, p_rolled_back boolean, out epoch bigint, out started boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    v_system   bigint := (select system_identifier from pg_control_system());
    v_timeline bigint := ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint;
    v_last     rowcast.epoch;
    v_prev     rowcast.tick;
    v_snap     pg_snapshot;
    v_rows     bigint := 0;
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
        v_snap := pg_current_snapshot();
        v_rows := (select c.rows from rowcast.count_between(v_prev.snap, v_snap, 0) c);
    else
        -- waits for writers under way: what is there then is history, what comes later is not
        lock table public.sensor_readings in share row exclusive mode;
        v_snap := pg_current_snapshot();
        perform rowcast.adopt(null);
        delete from rowcast.tick;
    end if;
    insert into rowcast.tick (no, epoch, snap, rows, leader)
        values (coalesce(v_prev.no, 0) + 1, epoch, v_snap, v_rows, p_leader);
    insert into rowcast.epoch (epoch, system_identifier, timeline, floor_id, first_tick)
        values (epoch, v_system, v_timeline, 0, coalesce(v_prev.no, 0) + 1);
end $$;

-- A partition for one day as the parent is now, generated columns and later constraints included, with the rows that wait
-- for it in the default one. Rows that an unvalidated constraint left alone may move, too.
create function rowcast.make_partition(p_name name, p_day date) returns void
language plpgsql volatile set timezone = 'UTC' as $$
declare
    v_columns text;
    v_check   record;
begin
    execute format('create table rowcast.%I (like public.sensor_readings including defaults including generated
                    including storage including compression)', p_name);
    select string_agg(quote_ident(attname), ', ' order by attnum) into v_columns from pg_attribute
     where attrelid = 'public.sensor_readings'::regclass and attnum > 0 and not attisdropped and attgenerated = '';
    -- ids and xids go along, so ticks do not notice
    execute format('with moved as (delete from rowcast.readings_default where created_at >= %L and created_at < %L returning *)
                    insert into rowcast.%I (%s) select %s from moved', p_day, p_day + 1, p_name, v_columns, v_columns);
    for v_check in select conname, pg_get_constraintdef(oid) as definition from pg_constraint
                    where conrelid = 'public.sensor_readings'::regclass and contype = 'c' loop
        execute format('alter table rowcast.%I add constraint %I %s', p_name, v_check.conname, v_check.definition);
    end loop;
    execute format('alter table public.sensor_readings attach partition rowcast.%I for values from (%L) to (%L)',
                   p_name, p_day, p_day + 1);
end $$;

-- As in 0003, with make_partition().
create or replace function rowcast.maintain(p_keep interval, p_replay interval, p_ahead integer)
returns table (action text, object text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set lock_timeout = '2s' as $$
declare
    v_day   date;
    v_name  name;
    v_xid   xid8;
    v_tick  bigint;
    v_count bigint;
begin
    perform pg_advisory_xact_lock(hashtext('rowcast.maintain'));

    for v_day in select generate_series(current_date, current_date + p_ahead, interval '1 day')::date loop
        v_name := 'readings_' || to_char(v_day, 'YYYYMMDD');
        continue when exists (select from rowcast.partition where name = v_name);
        perform rowcast.make_partition(v_name, v_day);
        insert into rowcast.partition values (v_name, v_day + 1);
        action := 'made partition'; object := v_name; return next;
    end loop;

    for v_name in select name from rowcast.partition where upto <= now() - p_keep order by upto loop
        execute format('select xid from rowcast.%I order by xid desc limit 1', v_name) into v_xid;
        v_tick := coalesce(rowcast.first_tick_past(v_xid), case when v_xid is null then 0 end);
        continue when v_tick is null;
        delete from rowcast.tick where no < v_tick;
        execute format('alter table public.sensor_readings detach partition rowcast.%I', v_name);
        execute format('drop table rowcast.%I', v_name);
        delete from rowcast.partition where name = v_name;
        action := 'dropped partition'; object := v_name; return next;
    end loop;

    v_xid := (select max(xid::text::bigint)::text::xid8 from rowcast.readings_default where created_at < now() - p_keep);
    v_tick := rowcast.first_tick_past(v_xid);
    if v_xid is not null and v_tick is not null then
        delete from rowcast.tick where no < v_tick;
        delete from rowcast.readings_default where created_at < now() - p_keep;
        get diagnostics v_count = row_count;
        action := 'deleted readings'; object := v_count; return next;
    end if;

    delete from rowcast.tick where no in (
        select no from rowcast.tick where no < rowcast.last_tick_before(now() - p_replay) order by no limit 100000);
    get diagnostics v_count = row_count;
    if v_count > 0 then
        action := 'deleted ticks'; object := v_count; return next;
    end if;
end $$;

revoke execute on function rowcast.adopt(bigint) from public;
revoke execute on function rowcast.renumber(bigint) from public;
revoke execute on function rowcast.make_partition(name, date) from public;
do $$
begin
    if exists (select from pg_roles where rolname = 'rowcast_listener') then
        grant execute on function rowcast.adopt(bigint) to rowcast_listener;
        grant execute on function rowcast.renumber(bigint) to rowcast_listener;
    end if;
end $$;
