//! `rowcast send`: one reading, or a line each from stdin in order.

mod batch;
pub(crate) mod post;

use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::mpsc,
};

use self::{
    batch::{Batch, Line, MAX_READINGS},
    post::{Answer, Poster, Refusal},
};
use crate::{
    args::{Payload, Send},
    output,
};

/// Sends one reading, or those of stdin.
pub(crate) async fn run(options: Send) -> anyhow::Result<()> {
    let poster = Poster::new(&options.ingest.url, &options.trust)?;
    match options.payload().unwrap_or_else(|error| error.exit()) {
        Payload::Lines => send_lines(&poster, &options, tokio::io::stdin()).await,
        Payload::One { sensor, value } => send_one(&poster, &options, sensor, value).await,
    }
}

async fn send_one(poster: &Poster, options: &Send, sensor: &str, value: f64) -> anyhow::Result<()> {
    let mut reading = json!({ "sensor_id": sensor, "value": value });
    if let Some(metadata) = &options.metadata {
        let metadata: Value = serde_json::from_str(metadata).context("--metadata is not JSON")?;
        reading["metadata"] = metadata;
    }
    if let Some(timestamp) = &options.timestamp {
        reading["timestamp"] = json!(timestamp);
    }
    match poster.post_until(reading.to_string(), Instant::now() + options.retry_for).await? {
        Answer::Stored(body) => Ok(output::line(&body)?),
        Answer::Refused(refusal) => bail!("{refusal}"),
    }
}

/// Each request takes the lines that have been read: a slow source is sent line by line, a file by the thousand.
async fn send_lines(poster: &Poster, options: &Send, source: impl AsyncRead + Unpin) -> anyhow::Result<()> {
    let (lines, mut waiting) = mpsc::channel(MAX_READINGS);
    let read = async move {
        let mut source = BufReader::new(source).lines();
        let mut number = 0;
        while let Some(text) = source.next_line().await.context("stdin")? {
            number += 1;
            if !text.trim().is_empty() && lines.send(Line::check(number, text)?).await.is_err() {
                break;
            }
        }
        anyhow::Ok(())
    };
    let mut sent = 0;
    let send = async {
        let mut batch = Batch::default();
        while let Some(line) = waiting.recv().await {
            batch.push(line);
            while !batch.is_full()
                && let Ok(line) = waiting.try_recv()
            {
                batch.push(line);
            }
            let full = std::mem::take(&mut batch);
            match poster.post_until(full.body(), Instant::now() + options.retry_for).await? {
                Answer::Stored(_) => sent += full.len(),
                Answer::Refused(refusal) => bail!("{}", explain(&full, &refusal)),
            }
        }
        Ok(())
    };
    // what was read before a bad line is still sent
    let (read, sending) = tokio::join!(read, send);
    output::note(&format!("{sent} readings stored"));
    sending.and(read)
}

/// The refusal in terms of stdin's lines.
fn explain(batch: &Batch, refusal: &Refusal) -> String {
    match refusal.index().and_then(|index| batch.line_number(index)) {
        Some(number) => format!("line {number}: {refusal}"),
        None => format!("lines {}: {refusal}", batch.range()),
    }
}

#[cfg(test)]
mod tests;
