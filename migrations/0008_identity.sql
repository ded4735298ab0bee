-- What tells this database from all others, for the names of its keys in Redis: the cluster's identifier and the database's
-- number in it, in hexadecimal. A dump that is restored elsewhere is another database by it; a standby that is promoted is
-- the same; so is a physical copy, which the listener finds out.
create function rowcast.identity() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select to_hex(system_identifier) || '-' || to_hex(oid::bigint)
      from pg_control_system(), pg_database where datname = current_database()
$$;
