-- One role per service, without login: grant it to the user that the service connects as. They are made and given
-- their rights where the migrating user may make roles. Elsewhere a missing role is left out with a notice, and its
-- rights, as they stand below, are an administrator's to give; services that connect as the owner need none of them.
do $$
declare
    v_role name;
begin
    foreach v_role in array array['rowcast_ingest', 'rowcast_gateway', 'rowcast_listener'] loop
        begin
            if not exists (select from pg_roles where rolname = v_role) then
                execute format('create role %I nologin', v_role);
            end if;
        exception
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise notice 'role % is missing and may not be made here', v_role;
                continue;
        end;
        execute format('grant usage on schema rowcast to %I', v_role);
        execute format('grant select on rowcast._sqlx_migrations to %I', v_role);
        execute format('grant select on public.sensor_readings to %I', v_role);
    end loop;
    if exists (select from pg_roles where rolname = 'rowcast_ingest') then
        grant insert (sensor_id, value, "timestamp", metadata, reading_key, traceparent) on public.sensor_readings to rowcast_ingest;
        grant usage on sequence public.sensor_readings_id_seq to rowcast_ingest;
    end if;
    if exists (select from pg_roles where rolname = 'rowcast_gateway') then
        grant select on rowcast.tick, rowcast.epoch to rowcast_gateway;
    end if;
    if exists (select from pg_roles where rolname = 'rowcast_listener') then
        grant select on rowcast.epoch to rowcast_listener;
        grant select, insert on rowcast.tick to rowcast_listener;
        grant select, update on sequence rowcast.gate to rowcast_listener;
    end if;
end $$;

-- Definer's functions are for the leader, not for everyone.
revoke execute on function rowcast.begin_epoch(text, boolean) from public;
revoke execute on function rowcast.maintain(interval, interval, integer) from public;
do $$
begin
    if exists (select from pg_roles where rolname = 'rowcast_listener') then
        grant execute on function rowcast.begin_epoch(text, boolean) to rowcast_listener;
        grant execute on function rowcast.maintain(interval, interval, integer) to rowcast_listener;
    end if;
end $$;
