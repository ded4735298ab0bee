//! A flood of one warning is counted, and not printed a thousand times.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use instruments::{IntCounter, Registry};
use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, warn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How many lines of a call site are written at once.
const BURST: u64 = 10;

/// How often one more is, and how often those left out are reported.
const PACE: Duration = Duration::from_secs(10);

instruments::metrics! {
    /// What the logs count.
    struct Metrics("rowcast_log_") {
        /// Warnings and errors that were counted instead of written: each call site writes ten at once, and then one in ten
        /// seconds.
        suppressed: IntCounter = "suppressed_total";
    }
}

/// The warnings and errors of each call site, cheap to clone. Other lines are not limited.
#[derive(Clone)]
pub(crate) struct Floods {
    sites: Arc<Mutex<HashMap<Identifier, Site>>>,
    suppressed: IntCounter,
}

/// A place in the code that logs.
struct Site {
    /// How many lines may be written now.
    allowed: u64,
    since: Instant,
    /// Those left out since the last report.
    left_out: u64,
    /// The text of the first of them.
    message: String,
    metadata: &'static Metadata<'static>,
}

impl Floods {
    /// # Errors
    /// When the registry has metrics of these names already.
    pub(crate) fn register(registry: &Registry) -> instruments::Result<Self> {
        Ok(Self { sites: Arc::default(), suppressed: Metrics::register(registry)?.suppressed })
    }

    /// Whether a line is written.
    fn admits(&self, event: &Event<'_>, now: Instant) -> bool {
        let metadata = event.metadata();
        // the report itself is rare
        if *metadata.level() > Level::WARN || metadata.target() == module_path!() {
            return true;
        }
        let mut sites = self.sites.lock();
        let site = sites.entry(metadata.callsite()).or_insert_with(|| Site::new(metadata, now));
        let admitted = site.admits(now);
        if !admitted {
            self.suppressed.inc();
            if site.left_out == 1 {
                site.message.clear();
                event.record(&mut Message(&mut site.message));
            }
        }
        admitted
    }

    /// Writes a line for each call site whose lines were left out since the last report.
    pub(crate) fn report(&self) {
        for (metadata, count, message) in self.take() {
            let (source, line) = (metadata.target(), metadata.line());
            warn!(count, of = message, source, line, "log lines left out");
        }
    }

    fn take(&self) -> Vec<(&'static Metadata<'static>, u64, String)> {
        let mut sites = self.sites.lock();
        let flooded = sites.values_mut().filter(|site| site.left_out > 0);
        flooded
            .map(|site| (site.metadata, std::mem::take(&mut site.left_out), site.message.clone()))
            .collect()
    }

    /// Reports for ever.
    pub(crate) async fn keep_reporting(self) {
        loop {
            tokio::time::sleep(PACE).await;
            self.report();
        }
    }
}

impl Site {
    fn new(metadata: &'static Metadata<'static>, now: Instant) -> Self {
        Self { allowed: BURST, since: now, left_out: 0, message: String::new(), metadata }
    }

    fn admits(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.since).as_secs() / PACE.as_secs();
        self.since += PACE * u32::try_from(earned).unwrap_or(0);
        self.allowed = self.allowed.saturating_add(earned).min(BURST);
        let Some(rest) = self.allowed.checked_sub(1) else {
            self.left_out += 1;
            return false;
        };
        self.allowed = rest;
        true
    }
}

/// The message of an event.
struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            *self.0 = format!("{value:?}");
        }
    }
}

/// A format that writes nothing for a line that is left out. A filter's `event_enabled` cannot do it: after it has refused an
/// event whose call site is always enabled, tracing-subscriber 0.3 refuses the next event, too.
pub(super) struct Limited<F>(pub(super) Floods, pub(super) F);

impl<S, N, F> FormatEvent<S, N> for Limited<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.0.admits(event, Instant::now()) {
            self.1.format_event(context, writer, event)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Callsite;
    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::json::JsonLines;
    use super::super::json::tests::Lines;
    use super::*;

    #[test]
    fn a_call_site_writes_a_burst_and_then_one_line_a_while() {
        let began = Instant::now();
        let mut site = Site::new(metadata(), began);
        let mut written = |seconds| {
            let now = began + Duration::from_secs(seconds);
            (0..1_000).filter(|_| site.admits(now)).count()
        };
        assert_eq!([written(0), written(9), written(10), written(30)], [10, 0, 1, 2]);
        assert_eq!(written(3_600), 10, "no more than a burst, however long it was quiet");
    }

    fn metadata() -> &'static Metadata<'static> {
        tracing::callsite!(name: "test", kind: tracing::metadata::Kind::EVENT, fields: message).metadata()
    }

    #[test]
    fn a_thousand_equal_warnings_are_ten_lines_and_a_count() {
        let (lines, floods) = (Lines::default(), Floods::register(&Registry::new()).unwrap());
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(Limited(floods.clone(), JsonLines))
            .with_writer(lines.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for number in 0..1_000 {
                warn!(target: "a service", number, "cannot accept connections");
                tracing::info!(target: "a service", "is not limited");
            }
            tracing::error!(target: "a service", "another fault");
            floods.report();
            floods.report();
        });
        let lines = lines.all();
        let count = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
        assert_eq!(count("cannot accept connections"), 10);
        assert_eq!((count("is not limited"), count("another fault")), (1_000, 1));
        let [report] =
            lines.iter().filter(|line| line["message"] == "log lines left out").collect::<Vec<_>>()[..]
        else {
            panic!("{lines:?}")
        };
        assert_eq!((&report["count"], &report["of"]), (&990.into(), &"cannot accept connections".into()));
        assert_eq!(floods.suppressed.get(), 990);
    }
}
