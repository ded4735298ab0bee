-- Device keys, revoked tokens, and who changed them. Every change of a key or a revocation has a number, and the numbers become
-- visible in their order: who has seen one has seen all before it. Services ask for what came after the last that they saw.

-- Whether these are patterns as crate `wire` reads them: 1 to 100 characters, none of them a control character, a `*` only at
-- the end. `\*`, `\,` and `\\` are one character.
create function rowcast.are_patterns(p_patterns text[]) returns boolean
language sql immutable parallel safe as $$
    select cardinality(p_patterns) <= 1000 and coalesce(array_ndims(p_patterns), 1) = 1
           and coalesce(bool_and(coalesce(
                   plain ~ '^[^*]*\*?$' and plain !~ '[\x01-\x1f\x7f-\x9f]' and plain <> ''
                   and char_length(plain) <= 100 + (right(plain, 1) = '*')::integer, false)), true)
      from (select regexp_replace(pattern, '\\[*,\\]', 'x', 'g') as plain from unnest(p_patterns) pattern) given
$$;

-- Whether this is no rate, or one as crate `auth` has it: one a day to a million a second, with a burst of at most a year.
create function rowcast.is_rate(p_per_second double precision, p_burst integer) returns boolean
language sql immutable parallel safe as $$
    select case when p_per_second is null and p_burst is null then true
                when p_per_second is null or p_burst is null then false
                else p_per_second between 1 / 86400::double precision and 1e6
                     and p_burst >= 1 and p_burst <= p_per_second * 31536000 end
$$;

create table rowcast.api_key (
    id                  text collate "C" primary key,
    name                text             not null,
    write_patterns      text[]           not null default '{}',
    read_patterns       text[]           not null default '{}',
    readings_per_second double precision,
    readings_burst      integer,
    requests_per_second double precision,
    requests_burst      integer,
    connections         integer,
    subscriptions       integer,
    expires_at          timestamptz,
    -- a key that was revoked stays until nobody can have missed it
    revoked_at          timestamptz,
    -- SHA-256 of the secrets: of the newest, and of the one before while that is valid too
    hashes              bytea[]          not null,
    created_at          timestamptz      not null default now(),
    used_at             timestamptz,
    changed             bigint           not null,
    constraint id_is_12_letters_and_digits check (id ~ '^[0-9a-z]{12}$'),
    constraint name_is_1_to_100_characters check (char_length(name) between 1 and 100 and name !~ '[\x01-\x1f\x7f-\x9f]'),
    constraint patterns_are_valid check (rowcast.are_patterns(write_patterns) and rowcast.are_patterns(read_patterns)),
    constraint rates_are_valid check (rowcast.is_rate(readings_per_second, readings_burst)
                                      and rowcast.is_rate(requests_per_second, requests_burst)),
    constraint counts_are_positive check (connections >= 1 and subscriptions >= 1),
    constraint times_have_four_digit_years check (
        expires_at >= '0001-01-01 00:00:00+00' and expires_at < '9999-12-31 00:00:00+00'
        and revoked_at >= '0001-01-01 00:00:00+00' and revoked_at < '9999-12-31 00:00:00+00'),
    constraint hashes_are_one_or_two check (coalesce(array_ndims(hashes) = 1 and array_lower(hashes, 1) = 1
        and octet_length(hashes[1]) = 32 and (cardinality(hashes) = 1 or cardinality(hashes) = 2 and octet_length(hashes[2]) = 32), false))
) with (fillfactor = 90);

create unique index api_key_changed on rowcast.api_key (changed);

-- Tokens that are refused before they expire: one by its `jti`, or all of a subject, until that time.
create table rowcast.revocation (
    issuer     text collate "C",
    kind       text,
    value      text collate "C",
    expires_at timestamptz not null,
    changed    bigint      not null,
    primary key (issuer, kind, value),
    constraint kind_is_jti_or_sub check (kind in ('jti', 'sub')),
    -- an index takes no longer ones
    constraint texts_are_short check (octet_length(issuer) between 1 and 1000 and octet_length(value) between 1 and 1000),
    constraint times_have_four_digit_years check (expires_at >= '0001-01-01 00:00:00+00' and expires_at < '9999-12-31 00:00:00+00')
);

create unique index revocation_changed on rowcast.revocation (changed);

-- Who did what. It has neither secrets nor their hashes.
create table rowcast.key_audit (
    no     bigint      primary key generated always as identity,
    at     timestamptz not null default clock_timestamp(),
    actor  text        not null default session_user,
    action text        not null,
    key_id text,
    detail jsonb       not null
);

create sequence rowcast.change as bigint cache 1;

-- How often rows were deleted, which no number tells. One row.
create table rowcast.deletion (
    only_row boolean primary key default true check (only_row),
    count    bigint  not null default 0
);
insert into rowcast.deletion default values;

-- One changing transaction at a time, from before the first row is locked, so that no two wait for each other. What followers
-- have seen may not be undone by a crash.
create function rowcast.begin_change() returns trigger
language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtext('rowcast.change'));
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    return null;
end $$;

create function rowcast.number_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    new.changed := nextval('rowcast.change');
    return new;
end $$;

-- Followers know a row by its primary key.
create function rowcast.refuse_change() returns trigger
language plpgsql as $$
begin
    raise exception 'the primary key of % never changes', tg_table_name using errcode = 'integrity_constraint_violation';
end $$;

create function rowcast.count_deletion() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'DELETE' then
        -- a TRUNCATE has no table of what is gone
        if not exists (select from gone) then
            return null;
        end if;
    end if;
    update rowcast.deletion set count = count + 1;
    return null;
end $$;

-- What a key or a revocation is after the change: all of it when it is new, else what is different.
create function rowcast.difference(p_old jsonb, p_new jsonb) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
    select coalesce(jsonb_object_agg(key, value), '{}') || jsonb_build_object('application', current_setting('application_name'))
      from jsonb_each(p_new - '{id,hashes,created_at,used_at,changed}'::text[])
     where value is distinct from coalesce(p_old -> key, 'null')
$$;

create function rowcast.audit_key() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into rowcast.key_audit (action, key_id, detail) values (
        case when tg_op = 'INSERT' then 'create'
             when tg_op = 'DELETE' then 'delete'
             when old.revoked_at is null and new.revoked_at is not null then 'revoke'
             when new.hashes[1] <> old.hashes[1] then 'rotate'
             when cardinality(new.hashes) < cardinality(old.hashes) then 'retire'
             else 'change' end,
        coalesce(new.id, old.id),
        case when tg_op = 'DELETE' then rowcast.difference(null, to_jsonb(old)) else rowcast.difference(to_jsonb(old), to_jsonb(new)) end);
    return null;
end $$;

create function rowcast.audit_revocation() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into rowcast.key_audit (action, detail) values (
        case when tg_op = 'DELETE' then 'delete-revocation'
             when new.expires_at <= now() then 'restore-token'
             else 'revoke-token' end,
        rowcast.difference(null, to_jsonb(coalesce(new, old))));
    return null;
end $$;

-- Notes of use are no changes: they say nothing that a follower needs, and wait for none.
create trigger api_key_begin_change before insert or delete
    or update of id, name, write_patterns, read_patterns, readings_per_second, readings_burst, requests_per_second, requests_burst,
                 connections, subscriptions, expires_at, revoked_at, hashes, created_at, changed
    on rowcast.api_key for each statement execute function rowcast.begin_change();
create trigger api_key_number_change before insert
    or update of id, name, write_patterns, read_patterns, readings_per_second, readings_burst, requests_per_second, requests_burst,
                 connections, subscriptions, expires_at, revoked_at, hashes, created_at, changed
    on rowcast.api_key for each row execute function rowcast.number_change();
create trigger api_key_refuse_change before update of id
    on rowcast.api_key for each row when (new.id <> old.id) execute function rowcast.refuse_change();
create trigger api_key_audit after insert or delete
    or update of name, write_patterns, read_patterns, readings_per_second, readings_burst, requests_per_second, requests_burst,
                 connections, subscriptions, expires_at, revoked_at, hashes, created_at
    on rowcast.api_key for each row execute function rowcast.audit_key();
create trigger api_key_count_deletion after delete
    on rowcast.api_key referencing old table as gone for each statement execute function rowcast.count_deletion();
create trigger api_key_count_truncation after truncate
    on rowcast.api_key for each statement execute function rowcast.count_deletion();

create trigger revocation_begin_change before insert or update or delete
    on rowcast.revocation for each statement execute function rowcast.begin_change();
create trigger revocation_number_change before insert or update
    on rowcast.revocation for each row execute function rowcast.number_change();
create trigger revocation_refuse_change before update
    on rowcast.revocation for each row when ((new.issuer, new.kind, new.value) <> (old.issuer, old.kind, old.value))
    execute function rowcast.refuse_change();
create trigger revocation_audit after insert or update or delete
    on rowcast.revocation for each row execute function rowcast.audit_revocation();
create trigger revocation_count_deletion after delete
    on rowcast.revocation referencing old table as gone for each statement execute function rowcast.count_deletion();
create trigger revocation_count_truncation after truncate
    on rowcast.revocation for each statement execute function rowcast.count_deletion();

-- Which history the numbers belong to, and the last number given. Another history means that numbers may have been given twice
-- (another database, a restore, a promotion) or that rows are gone: a follower reads everything again. So it does if it has seen a
-- later number, which is how a volume looks that was set back.
create function rowcast.change_state(out history text, out last bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select concat_ws('-', rowcast.identity(),
                     case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())
                          else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer end,
                     (select max(epoch) from rowcast.epoch), d.count),
           c.last_value
      from rowcast.deletion d, rowcast.change c
$$;

-- Notes that these keys were used, at most once a minute each. A key that is being changed, or noted by another, is left alone:
-- it is used again, and nobody waits.
create function rowcast.note_use(p_ids text[]) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    update rowcast.api_key k set used_at = now()
      from (select id from rowcast.api_key
             where id = any (p_ids) and (used_at is null or used_at <= now() - interval '1 minute')
               for no key update skip locked) due
     where k.id = due.id
$$;

-- Deletes keys that were revoked and revocations that ended 30 days ago.
create function rowcast.purge_keys() returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    delete from rowcast.api_key where revoked_at <= now() - interval '30 days';
    delete from rowcast.revocation where expires_at <= now() - interval '30 days';
$$;

-- A role more, as those of 0004: it manages keys and revocations, and reads the audit.
do $$
begin
    if not exists (select from pg_roles where rolname = 'rowcast_keys') then
        create role rowcast_keys nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        raise notice 'role rowcast_keys is missing and may not be made here';
end $$;

revoke execute on function rowcast.number_change() from public;
revoke execute on function rowcast.count_deletion() from public;
revoke execute on function rowcast.audit_key() from public;
revoke execute on function rowcast.audit_revocation() from public;
revoke execute on function rowcast.change_state() from public;
revoke execute on function rowcast.note_use(text[]) from public;
revoke execute on function rowcast.purge_keys() from public;

do $$
declare
    v_role name;
begin
    if exists (select from pg_roles where rolname = 'rowcast_keys') then
        grant usage on schema rowcast to rowcast_keys;
        grant select on rowcast._sqlx_migrations, rowcast.api_key, rowcast.revocation, rowcast.key_audit to rowcast_keys;
        grant insert (id, name, write_patterns, read_patterns, readings_per_second, readings_burst, requests_per_second,
                      requests_burst, connections, subscriptions, expires_at, hashes) on rowcast.api_key to rowcast_keys;
        grant update (name, write_patterns, read_patterns, readings_per_second, readings_burst, requests_per_second,
                      requests_burst, connections, subscriptions, expires_at, hashes, revoked_at) on rowcast.api_key to rowcast_keys;
        grant insert (issuer, kind, value, expires_at), update (expires_at) on rowcast.revocation to rowcast_keys;
        grant execute on function rowcast.purge_keys() to rowcast_keys;
    end if;
    foreach v_role in array array['rowcast_ingest', 'rowcast_gateway'] loop
        continue when not exists (select from pg_roles where rolname = v_role);
        execute format('grant select (id, name, write_patterns, read_patterns, readings_per_second, readings_burst,
                                      requests_per_second, requests_burst, connections, subscriptions, expires_at, revoked_at,
                                      hashes, changed) on rowcast.api_key to %I', v_role);
        execute format('grant select on rowcast.revocation to %I', v_role);
        execute format('grant execute on function rowcast.change_state(), rowcast.note_use(text[]) to %I', v_role);
    end loop;
end $$;
