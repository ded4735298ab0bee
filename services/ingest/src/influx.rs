//! Line protocol, as InfluxDB takes it and Telegraf writes it: each number of a line becomes a reading.

pub(crate) mod lines;
pub(crate) mod rule;
