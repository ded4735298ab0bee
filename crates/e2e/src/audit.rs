//! The loss audit of a whole installation: what the services count of themselves must agree with the table.

use std::time::Duration;

use anyhow::Result;
use testkit::wait_for;

use crate::stack::{Running, Stack};

/// How long the last readings may be under way.
const WITHIN: Duration = Duration::from_secs(20);

/// Holds the metrics against the number of committed readings: the log, the stream and every gateway have come so far, and no
/// gateway missed any on the way. Where a promotion has begun another epoch, its readings are fewer, and only agree with each other.
pub async fn check(stack: &Stack, committed: usize) {
    let is_whole = stack.psql("select count(*) from rowcast.epoch").trim() == "1";
    let counted = async || match is_whole {
        true => Ok(committed as f64),
        false => read(&stack.listeners[0], "rowcast_listener_log_head_readings").await,
    };
    wait_for("heads that agree", WITHIN, async || heads(stack, counted().await?).await).await;
    for gateway in &stack.gateways {
        let counted = async |name: &str| gateway.metric(&format!("rowcast_gateway_{name}")).await;
        let audit = (counted("audit_checked_total").await, counted("audit_mismatch_total").await);
        assert!(matches!(audit, (Ok(1.0..), Ok(0.0))), "{audit:?}");
    }
}

async fn heads(stack: &Stack, committed: f64) -> Result<(), String> {
    for listener in &stack.listeners {
        if read(listener, "rowcast_listener_leading").await? == 1.0 {
            expect(listener, "rowcast_listener_log_head_readings", committed).await?;
            expect(listener, "rowcast_listener_stream_head_readings", committed).await?;
            expect(listener, "rowcast_listener_backlog_readings", 0.0).await?;
        }
    }
    for gateway in &stack.gateways {
        expect(gateway, "rowcast_gateway_head_readings", committed).await?;
    }
    Ok(())
}

async fn expect(service: &Running, metric: &str, expected: f64) -> Result<(), String> {
    let value = read(service, metric).await?;
    if value == expected { Ok(()) } else { Err(format!("{metric} is {value}, not {expected}")) }
}

async fn read(service: &Running, metric: &str) -> Result<f64, String> {
    service.metric(metric).await.map_err(|error| format!("{error:#}"))
}
