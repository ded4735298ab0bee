-- The table of readings, its partitions, and the takeover of a table that the demo made.
-- The migrator has created schema rowcast and runs each file in one transaction.

-- A table of the demo has no xid column. It steps aside and gives its rows back below.
do $$
begin
    if to_regclass('public.sensor_readings') is not null then
        drop trigger if exists sensor_update_trigger on public.sensor_readings;
        alter table public.sensor_readings set schema rowcast;
        alter table rowcast.sensor_readings rename to demo_readings;
        -- its sequence came along, and would bear the name that the new table's wants
        execute (select coalesce(string_agg(format('alter sequence rowcast.%I rename to %I', s.relname, 'demo_' || s.relname), ';'), 'select')
                   from pg_class s join pg_depend d on d.objid = s.oid
                  where s.relkind = 'S' and d.refobjid = 'rowcast.demo_readings'::regclass);
    end if;
end $$;

create sequence public.sensor_readings_id_seq as bigint cache 1;

create table public.sensor_readings (
    id          bigint           not null default nextval('public.sensor_readings_id_seq'),
    -- ordered by its bytes, so that the ids of a prefix lie side by side
    sensor_id   text collate "C" not null,
    value       double precision not null,
    "timestamp" timestamptz      not null default now(),
    metadata    jsonb            not null default '{}',
    created_at  timestamptz      not null default now(),
    updated_at  timestamptz      not null default now(),
    -- the transaction that wrote the row: what ticks are made of
    xid         xid8             not null default pg_current_xact_id(),
    -- the reading's own key, by which a device's retry is known
    reading_key text,
    -- the trace that the POST belonged to, as W3C traceparent
    traceparent text,
    primary key (id, created_at),
    constraint sensor_id_is_1_to_100_characters check (char_length(sensor_id) between 1 and 100),
    constraint sensor_id_has_no_control_character check (sensor_id !~ '[\x01-\x1f\x7f-\x9f]'),
    constraint value_is_finite check (value > '-infinity' and value < 'infinity'),
    constraint times_have_four_digit_years check (
        "timestamp" >= '0001-01-01 00:00:00+00' and "timestamp" < '9999-12-31 00:00:00+00'
        and created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00'
        and updated_at >= '0001-01-01 00:00:00+00' and updated_at < '9999-12-31 00:00:00+00')
) partition by range (created_at);

alter sequence public.sensor_readings_id_seq owned by public.sensor_readings.id;

create index sensor_readings_xid_id on public.sensor_readings (xid, id);
create index sensor_readings_sensor_time on public.sensor_readings (sensor_id, "timestamp" desc, id desc);
create index sensor_readings_time on public.sensor_readings ("timestamp" desc, id desc);

-- An insert never fails for want of a partition.
create table rowcast.readings_default partition of public.sensor_readings default;

-- The partitions that maintain() made, each for created_at before upto.
create table rowcast.partition (
    name name        primary key,
    upto timestamptz not null
);

-- Readings that the demo took and that no client could be told: NaN, infinities, ids too long.
create table rowcast.unfit_readings (
    id bigint, sensor_id text, value double precision, "timestamp" timestamptz, metadata jsonb,
    created_at timestamptz, updated_at timestamptz
);

do $$
declare
    today timestamptz := date_trunc('day', now(), 'UTC');
    fit   constant text := $fit$
        coalesce(char_length(sensor_id) between 1 and 100 and sensor_id !~ '[\x01-\x1f\x7f-\x9f]'
                 and value > '-infinity' and value < 'infinity'
                 and isfinite("timestamp") and isfinite(created_at) and isfinite(updated_at), false) $fit$;
begin
    if to_regclass('rowcast.demo_readings') is null then
        return;
    end if;
    execute format('create table rowcast.readings_before partition of public.sensor_readings for values from (minvalue) to (%L)', today);
    insert into rowcast.partition values ('readings_before', today);
    execute 'insert into public.sensor_readings (id, sensor_id, value, "timestamp", metadata, created_at, updated_at)
             select id, sensor_id, value, "timestamp", coalesce(metadata, ''{}''), created_at, updated_at
               from rowcast.demo_readings where ' || fit;
    execute 'insert into rowcast.unfit_readings
             select id, sensor_id, value, "timestamp", metadata, created_at, updated_at
               from rowcast.demo_readings where not ' || fit;
    perform setval('public.sensor_readings_id_seq', coalesce((select max(id) from rowcast.demo_readings), 0) + 1, false);
    drop table rowcast.demo_readings;
end $$;
