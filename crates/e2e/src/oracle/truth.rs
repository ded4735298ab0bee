//! What was committed, in the order of the log, recorded from the ticks before retention deletes them; and how far back
//! the log reached at each time.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use anyhow::{Context, Result};
use testkit::wait_for;
use wire::{Epoch, Position, Tick};

use crate::stack::Stack;

/// A committed reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) pos: Position,
    pub(super) sensor: String,
}

/// The oldest tick that has been kept so far; it only grows.
#[derive(Debug, Clone)]
pub(super) struct Horizon(Arc<AtomicI64>);

impl Horizon {
    pub(super) fn now(&self) -> Tick {
        Tick(self.0.load(Ordering::SeqCst))
    }
}

/// Records the committed readings during the run.
pub(super) struct Truth {
    noted: Mutex<(i64, Vec<Committed>)>,
    horizon: Horizon,
}

impl Truth {
    /// From the existing ticks.
    pub(super) fn begin(stack: &Stack) -> Result<Self> {
        let first: i64 = stack.psql("select max(no) from rowcast.tick").parse().context("a tick")?;
        let horizon = Horizon(Arc::new(AtomicI64::new(first)));
        Ok(Self { noted: Mutex::new((first, Vec::new())), horizon })
    }

    pub(super) fn horizon(&self) -> Horizon {
        self.horizon.clone()
    }

    /// Adds the ticks that were made since.
    pub(super) fn note(&self, stack: &Stack) -> Result<()> {
        let mut noted = self.noted.lock().expect("no client panics while it holds the lock");
        let rows = stack.psql(&format!(
            "select t.epoch, t.no, r.id, r.sensor_id
               from rowcast.tick t
               join rowcast.tick p on p.no = t.no - 1
               join rowcast.epoch e on e.epoch = t.epoch
              cross join lateral rowcast.between_snapshots(p.snap, t.snap, e.floor_id, null) r
              where t.no > {} order by t.no, r.id",
            noted.0
        ));
        for row in rows.lines() {
            let mut fields = row.splitn(4, '|');
            let mut number = || fields.next().and_then(|field| field.parse().ok()).context("a number");
            let pos = Position::new(Epoch(number()?), Tick(number()?), number()?);
            let sensor = fields.next().context("a sensor")?.to_owned();
            noted.0 = noted.0.max(pos.tick.0);
            noted.1.push(Committed { pos, sensor });
        }
        Ok(())
    }

    /// Deletes older ticks as retention does, after they were recorded.
    pub(super) fn forget(&self, stack: &Stack, older_than: &str) -> Result<()> {
        self.note(stack)?;
        // stored before the deletion: a client may be notified of the gap before this returns
        let horizon: i64 = stack
            .psql(&format!("select rowcast.last_tick_before(now() - interval '{older_than}')"))
            .parse()
            .context("a tick")?;
        self.horizon.0.fetch_max(horizon, Ordering::SeqCst);
        stack.psql(&format!("delete from rowcast.tick where no < {horizon}"));
        Ok(())
    }

    /// All of it, once every committed reading is in a tick.
    pub(super) async fn end(self, stack: &Stack) -> Result<Vec<Committed>> {
        wait_for("a tick for every reading", std::time::Duration::from_secs(30), async || {
            self.note(stack).map_err(|error| format!("{error:#}"))?;
            let noted = self.noted.lock().expect("no client panics while it holds the lock").1.len();
            let stored = stack.psql("select count(*) from sensor_readings");
            if stored == noted.to_string() { Ok(()) } else { Err(format!("{noted} of {stored}")) }
        })
        .await;
        Ok(self.noted.into_inner().expect("no client panics while it holds the lock").1)
    }
}
