//! `rowcast tail`: a line for every reading.

use std::{io, ops::ControlFlow};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use wire::{Position, frame::GapReason};

use crate::{
    args::{Format, Tail},
    live::{
        Live, Received,
        connection::{Update, follow},
    },
    output,
};

/// Follows until Ctrl-C, until the output is closed, or until the gateway refuses the subscription.
pub(crate) async fn run(options: Tail) -> anyhow::Result<()> {
    let live = Live::of(options.subscribe().unwrap_or_else(|error| error.exit()));
    let notify = |update: Update<'_>| match show(&update, options.output) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    };
    tokio::select! {
        ended = follow(&options.gateway.url, &options.trust, live, notify) => Err(ended?.into()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

fn show(update: &Update<'_>, format: Format) -> io::Result<()> {
    match update {
        Update::Received(Received::Reading { pos, merged, data }) => output::line(&match format {
            Format::Json => json_line(*pos, *merged, data),
            Format::Text => text_line(data),
        })?,
        Update::Received(Received::Gap(gap)) => {
            let why = match gap.reason {
                GapReason::Retention => "deleted by retention",
                GapReason::Epoch => "the database was restored to a state without them",
            };
            output::note(&format!(
                "gap: the readings after {} up to {} are missing: {why}",
                gap.from, gap.to
            ));
        }
        Update::Received(Received::Stale(true)) => {
            output::note("stale: the gateway has no contact with the leader; newer readings may exist");
        }
        Update::Received(Received::Stale(false)) => output::note("no longer stale"),
        Update::Lost => output::note("gap: readings are missing: the client was too slow"),
        Update::Disconnected(why, wait) => {
            output::note(&format!("{why}; retrying in {:.1} s", wait.as_secs_f64()))
        }
        Update::Received(_) => {}
    }
    Ok(())
}

fn json_line(pos: Option<Position>, merged: Option<u64>, data: &RawValue) -> String {
    let pos = pos.map(|pos| format!(r#""pos":"{pos}","#)).unwrap_or_default();
    let merged = merged.map(|merged| format!(r#""merged":{merged},"#)).unwrap_or_default();
    format!(r#"{{{pos}{merged}"data":{}}}"#, data.get())
}

#[derive(Deserialize)]
struct Shown {
    sensor_id: String,
    value: f64,
    timestamp: String,
    #[serde(default)]
    metadata: Value,
}

fn text_line(data: &RawValue) -> String {
    let Ok(Shown { sensor_id, value, timestamp, metadata }) = serde_json::from_str(data.get()) else {
        return data.get().to_owned();
    };
    let unit =
        metadata.get("unit").and_then(Value::as_str).map(|unit| format!(" {unit}")).unwrap_or_default();
    // any device can write these: control characters must not reach the terminal
    format!("{timestamp}  {sensor_id}  {value}{unit}").replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_line_of_text_shows_time_sensor_value_and_unit() {
        let data = raw(r#"{"id":1,"sensor_id":"s-1","value":2.5,"timestamp":"T","metadata":{"unit":"°C"}}"#);
        assert_eq!(text_line(&data), "T  s-1  2.5 °C");
        let data =
            raw(r#"{"id":1,"sensor_id":"s-1","value":2,"timestamp":"T","metadata":{"unit":"\u001b[2J"}}"#);
        assert_eq!(text_line(&data), "T  s-1  2 \u{fffd}[2J");
    }

    #[test]
    fn a_line_of_json_can_be_resumed_from() {
        let data = raw(r#"{"id":3}"#);
        let pos = Some("1.2.3".parse().unwrap());
        assert_eq!(json_line(pos, None, &data), r#"{"pos":"1.2.3","data":{"id":3}}"#);
        assert_eq!(json_line(None, None, &data), r#"{"data":{"id":3}}"#);
        assert_eq!(json_line(None, Some(4), &data), r#"{"merged":4,"data":{"id":3}}"#);
    }
}
