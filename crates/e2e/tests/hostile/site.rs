//! One installation under attack, and what it must still do.

use std::time::Duration;

use e2e::{Plan, Stack, client, http, stack::Running};
use testkit::{cost, wait_for};
use tokio::sync::{Mutex, MutexGuard};

static ALONE: Mutex<()> = Mutex::const_new(());

/// How long the work that clients have requested may take.
const DONE_WITHIN: Duration = Duration::from_secs(30);

/// How long a cost is measured.
const MEASURED: Duration = Duration::from_secs(3);

/// The share of a core that a service may use for idle peers: far below a busy loop, far above none.
const IDLE_CORES: f64 = 0.3;

/// An installation with one gateway; no other test runs beside it.
pub(crate) struct Site {
    pub(crate) stack: Stack,
    _alone: MutexGuard<'static, ()>,
}

impl Site {
    pub(crate) async fn start(env: &[(&str, &str)]) -> Self {
        let alone = ALONE.lock().await;
        let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, env).await.unwrap();
        Self { stack, _alone: alone }
    }

    pub(crate) fn gateway(&self) -> &Running {
        &self.stack.gateways[0]
    }

    /// Checks that a reading still gets from a POST to a client, and that every admin port answers.
    pub(crate) async fn serves(&self) {
        let (mut neighbour, _) = client::subscribed(self.gateway().public(), "{}").await;
        let posted =
            http::post(self.stack.ingest.public(), "/api/sensors/", r#"{"sensor_id":"neighbour","value":1}"#);
        assert_eq!(posted.await.unwrap().status, 201);
        client::messages_until(&mut neighbour, |message| {
            message.data.as_ref().is_some_and(|data| data.get().contains("neighbour"))
        })
        .await;
        for service in self.stack.services() {
            assert_eq!(http::get(service.admin, "/livez").await.unwrap().status, 200);
            let panics = service.metric("rowcast_panics_total").await.unwrap();
            assert!(panics == 0.0 && service.process.is_running(), "{}", service.process.tail());
        }
    }

    /// Checks that no service is in a busy loop, once the work that was begun is done.
    pub(crate) async fn check_idle(&self) {
        for service in self.stack.services() {
            wait_for("idle services", DONE_WITHIN, || async {
                let cores = cost::cores(service.process.id(), MEASURED).await.unwrap();
                if cores < IDLE_CORES { Ok(()) } else { Err((cores, service.process.tail())) }
            })
            .await;
        }
    }

    /// Waits until the gateway has this many sessions.
    pub(crate) async fn sessions(&self, expected: usize) {
        wait_for("the number of sessions", Duration::from_secs(60), || async {
            let open = self.gateway().metric("rowcast_gateway_sessions").await.unwrap();
            if open == expected as f64 { Ok(()) } else { Err(open) }
        })
        .await;
    }

    /// Writes readings by SQL, `count` at once, each with metadata of so many bytes.
    pub(crate) fn write(&self, count: usize, metadata: usize) {
        self.stack.psql(&format!(
            "insert into sensor_readings (sensor_id, value, metadata)
             select 's' || n, n, jsonb_build_object('x', repeat('y', {metadata})) from generate_series(1, {count}) n"
        ));
    }
}
