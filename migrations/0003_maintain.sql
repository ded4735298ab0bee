-- Upkeep: partitions ahead of time, readings past their retention, ticks past their replay time.

-- The first tick whose snapshot shows every transaction up to p_xid as ended; replay from behind it needs none of
-- their readings. Ticks are numbered without a hole, so it is found by halving.
create function rowcast.first_tick_past(p_xid xid8) returns bigint
language plpgsql stable as $$
declare
    lo bigint; hi bigint; mid bigint;
begin
    select min(no), max(no) into lo, hi from rowcast.tick;
    if hi is null or (select pg_snapshot_xmin(snap) from rowcast.tick where no = hi) <= p_xid then
        return null;
    end if;
    while lo < hi loop
        mid := (lo + hi) / 2;
        if (select pg_snapshot_xmin(snap) from rowcast.tick where no = mid) > p_xid then hi := mid; else lo := mid + 1; end if;
    end loop;
    return lo;
end $$;

-- The last tick made before p_at, by halving.
create function rowcast.last_tick_before(p_at timestamptz) returns bigint
language plpgsql stable as $$
declare
    lo bigint; hi bigint; mid bigint;
begin
    select min(no), max(no) into lo, hi from rowcast.tick;
    while lo < hi loop
        mid := (lo + hi + 1) / 2;
        if (select at from rowcast.tick where no = mid) < p_at then lo := mid; else hi := mid - 1; end if;
    end loop;
    return lo;
end $$;

-- Makes the daily partitions (UTC) from today to p_ahead days on, drops the readings inserted longer than p_keep
-- ago (null: none), and drops ticks older than p_replay: a client that was away longer is told of a gap. Says what
-- it did, a row each. It gives way to writers after 2 s of waiting for a lock and can be called again at any time.
create function rowcast.maintain(p_keep interval, p_replay interval, p_ahead integer)
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
        execute format('create table rowcast.%I (like public.sensor_readings including defaults including constraints)', v_name);
        -- what came before its partition waits in the default one; ids and xids go along, so ticks do not notice
        execute format('with moved as (delete from rowcast.readings_default where created_at >= %L and created_at < %L returning *)
                        insert into rowcast.%I select * from moved', v_day, v_day + 1, v_name);
        execute format('alter table public.sensor_readings attach partition rowcast.%I for values from (%L) to (%L)',
                       v_name, v_day, v_day + 1);
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

select rowcast.maintain(null, '1 day', 2);
