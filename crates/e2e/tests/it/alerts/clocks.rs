//! Faults of a host's clock.

use std::time::Duration;

use e2e::Plan;
use testkit::HostClock;

use super::scene::{Scene, seen};

/// More than the alert tolerates, and than what counts as late.
const AHEAD: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_raises_an_alert_and_changes_no_age() {
    let clock = HostClock::ahead(AHEAD).unwrap();
    let env = clock.env().map(|(key, value)| (format!("ws-gateway:{key}"), value));
    let env: Vec<_> = env.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut scene = Scene::start_with(Plan { gateways: 2, listeners: 1 }, &env).await;
    scene.fire("the gateways' clocks are ahead", &["RowcastClockOffset"]).await;
    let offset = r#"rowcast_clock_offset_seconds{component="ws-gateway"}"#;
    seen(&scene.monitor, &format!("count(abs({offset} - {}) < 0.1) == 2", AHEAD.as_secs())).await;

    // ages are of the shared clock: a reading is three seconds old when it is written only if the machine was as slow
    let all = "sum(rowcast_gateway_event_age_seconds_count)";
    let in_time = r#"sum(rowcast_gateway_event_age_seconds_bucket{le="2.5"})"#;
    seen(&scene.monitor, &format!("{all} > 1000")).await;
    seen(&scene.monitor, &format!("{in_time} / {all} > 0.9")).await;
    seen(&scene.monitor, "sum(rowcast_gateway_negative_ages_total) == 0").await;

    // set back while they run: until it is measured again ages are negative, and counted as such
    clock.set_ahead(Duration::ZERO).unwrap();
    seen(&scene.monitor, "sum(rowcast_gateway_negative_ages_total) > 0").await;

    for gateway in &mut scene.stack.gateways {
        gateway.crash_and_start().unwrap();
    }
    scene.healthy("the clocks are right").await;
}
