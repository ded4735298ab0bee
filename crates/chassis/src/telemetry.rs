//! Metrics, logs and traces, from the start of a process to its end.

use instruments::Registry;
use tracing::{error, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::logs::{Floods, Level, LogConfig};
use crate::metrics;
use crate::traces::{self, Traces};

/// What they need while the service runs.
pub(crate) struct Telemetry {
    pub(crate) registry: Registry,
    pub(crate) traces: Traces,
    pub(crate) floods: Floods,
    pub(crate) level: Level,
}

impl Telemetry {
    /// Starts all of them, the panics of the process among the logs. A collector that cannot be used is logged and not fatal.
    ///
    /// # Errors
    /// When a metric cannot be registered.
    pub(crate) fn start(
        name: &'static str,
        version: &'static str,
        log: &LogConfig,
    ) -> instruments::Result<Self> {
        let registry = metrics::registry()?;
        let floods = Floods::register(&registry)?;
        let (traces, fault) = match Traces::start(name, version) {
            Ok(traces) => (traces, None),
            Err(fault) => (Traces::OFF, Some(fault)),
        };
        let spans = traces.tracer(name).map(|tracer| {
            let layer = tracing_opentelemetry::layer().with_location(false).with_threads(false);
            layer.with_tracer(tracer).with_filter(filter_fn(traces::carry))
        });
        let (lines, level) = log.layer(floods.clone());
        // An error: a test has installed its own subscriber.
        let _ = tracing_subscriber::registry().with(lines).with(spans).try_init();
        std::panic::set_hook(Box::new(|panic| error!(%panic, "panicked")));
        if let Some(fault) = fault {
            warn!(error = format!("{fault:#}"), "traces are off");
        }
        Ok(Self { registry, traces, floods, level })
    }

    /// Writes what is left of the logs, and exports what is left of the traces. Blocks, so it is called outside the event loop.
    pub(crate) fn end(traces: Traces, floods: &Floods) {
        floods.report();
        traces.flush();
    }
}
