//! History's statements. They are public so that tests can check the plans of the exact texts that run.

use super::order::Order;

macro_rules! columns {
    () => {
        r#"r.id, r.sensor_id, r.value, r."timestamp", rowcast.told(r.metadata) as metadata, r.created_at, r.updated_at"#
    };
}

// Each sensor's readings by the index on sensors. With `=` the planner knows that there is one sensor, considers the
// index on time to give the same order, and scans the readings of all sensors for those of a sensor with few. With `=
// any` it cannot, and only the index on sensors has the requested order.
macro_rules! of_sensors {
    ($before:literal, $far:literal, $direction:literal, $same:literal) => {
        concat!(
            "select r.* from unnest($1::text[]) wanted (sensor_id) cross join lateral (select ",
            columns!(),
            r#" from public.sensor_readings r
               where r.sensor_id = any (array[wanted.sensor_id]) and (r."timestamp", r.id) "#,
            $before,
            r#" ($2::timestamptz, $3::bigint) and r."timestamp" "#,
            $far,
            " $4::timestamptz order by r.sensor_id ",
            $same,
            r#", r."timestamp" "#,
            $direction,
            ", r.id ",
            $direction,
            r#" limit $5::bigint) r order by r."timestamp" "#,
            $direction,
            ", r.id ",
            $direction,
            " limit $5::bigint"
        )
    };
}

macro_rules! of_many {
    ($before:literal, $far:literal, $direction:literal) => {
        concat!(
            "select ",
            columns!(),
            r#" from public.sensor_readings r
               where (r.sensor_id = any ($1::text[]) or r.sensor_id ^@ any ($2::text[]))
                 and (r."timestamp", r.id) "#,
            $before,
            r#" ($3::timestamptz, $4::bigint) and r."timestamp" "#,
            $far,
            r#" $5::timestamptz order by r."timestamp" "#,
            $direction,
            ", r.id ",
            $direction,
            " limit $6::bigint"
        )
    };
}

// avg() and sum() fail where a sum leaves float8, though a mean never does: values are summed scaled by a power of two,
// which changes no digit. Those too small to be scaled count as 0
macro_rules! buckets {
    ($before:literal, $direction:literal) => {
        concat!(
            r#"select wanted.sensor_id, b.bucket, b.count, b.min, b.max, b.avg
                 from unnest($1::text[]) wanted (sensor_id) cross join lateral (
                     select date_bin($2::interval, r."timestamp", timestamptz '1970-01-01 00:00:00+00') as bucket,
                            count(*) as count, min(r.value) as min, max(r.value) as max,
                            sum(case when abs(r.value) < 1e-250 then 0 else r.value * 2.0::float8 ^ -40 end)
                                / count(*) * 2.0::float8 ^ 40 as avg
                       from public.sensor_readings r
                      where r.sensor_id = wanted.sensor_id
                        and r."timestamp" >= $3::timestamptz and r."timestamp" < $4::timestamptz
                      group by 1
                 ) b
                where (b.bucket, wanted.sensor_id collate "C") "#,
            $before,
            " ($5::timestamptz, $6::text) order by b.bucket ",
            $direction,
            r#", wanted.sensor_id collate "C" "#,
            $direction,
            " limit $7::bigint"
        )
    };
}

/// The newest reading and the oldest: `$1` the sensor.
pub const SENSOR: &str = concat!(
    "select * from ((select 1 as place, ",
    columns!(),
    r#" from public.sensor_readings r where r.sensor_id = any (array[$1::text])
        order by r.sensor_id, r."timestamp" desc, r.id desc limit 1) union all (select 2, "#,
    columns!(),
    r#" from public.sensor_readings r where r.sensor_id = any (array[$1::text])
        order by r.sensor_id desc, r."timestamp", r.id limit 1)) ends order by place"#
);

/// Ids by a walk over the index, one probe each: `$1` exact ids, `$2` prefixes, `$3` the most of them.
pub const WALK: &str = r#"
    with recursive walk (prefix, sensor_id, n) as (
        select p.prefix, (select r.sensor_id from public.sensor_readings r
                           where r.sensor_id >= p.prefix order by r.sensor_id limit 1), 1
          from unnest($2::text[]) p (prefix)
        union all
        select w.prefix, (select r.sensor_id from public.sensor_readings r
                           where r.sensor_id > w.sensor_id order by r.sensor_id limit 1), w.n + 1
          from walk w where w.n < $3::bigint and starts_with(w.sensor_id, w.prefix)
    )
    select sensor_id from walk where starts_with(sensor_id, prefix)
    union
    select id collate "C" from unnest($1::text[]) id
    order by 1 limit $3::bigint"#;

/// Few sensors: `$1` their ids, behind the key `$2`, `$3`, up to `$4`, at most `$5`.
pub const fn of_sensors(order: Order) -> &'static str {
    match order {
        Order::Ascending => of_sensors!(">", "<", "asc", "desc"),
        Order::Descending => of_sensors!("<", ">=", "desc", "asc"),
    }
}

/// Many sensors: `$1` ids, `$2` prefixes, behind the key `$3`, `$4`, up to `$5`, at most `$6`.
pub const fn of_many(order: Order) -> &'static str {
    match order {
        Order::Ascending => of_many!(">", "<", "asc"),
        Order::Descending => of_many!("<", ">=", "desc"),
    }
}

/// Buckets: `$1` ids, `$2` their length, of [`$3`, `$4`), behind the key `$5`, `$6`, at most `$7`.
pub const fn buckets(order: Order) -> &'static str {
    match order {
        Order::Ascending => buckets!(">", "asc"),
        Order::Descending => buckets!("<", "desc"),
    }
}
