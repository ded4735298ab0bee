//! How much of what somebody may do is left.

use std::{fmt, sync::Arc, time::Instant};

use auth::RetryAfter;
use http::HeaderMap;

use crate::{
    bounds::{Bounds, Defaults},
    buckets::Unit,
    caller::Caller,
    denial::Denial,
    meters::{Meters, seconds},
    metrics::Metrics,
    payer::Payer,
};

/// What is counted of all who come, and what those may do who have no limits of their own.
pub(crate) struct Metering {
    meters: Meters,
    defaults: Defaults,
    /// None: in tests.
    metrics: Option<Metrics>,
}

/// What somebody may do, and where it is counted.
#[derive(Clone)]
pub struct Meter {
    metering: Arc<Metering>,
    payer: Payer,
    bounds: Bounds,
}

impl Metering {
    pub(crate) fn new(defaults: Defaults, metrics: Option<Metrics>) -> Self {
        Self { meters: Meters::new(), defaults, metrics }
    }

    /// Whether anything is counted of those who have no limits of their own.
    pub(crate) fn has_defaults(&self) -> bool {
        self.defaults != Defaults::default()
    }

    /// What this caller may do.
    pub(crate) fn of(self: &Arc<Self>, caller: &Caller) -> Meter {
        let Defaults { subject, address } = &self.defaults;
        let others = if caller.is_anonymous() { address } else { subject };
        let bounds = others.with(caller.grant.limits);
        Meter { metering: self.clone(), payer: caller.payer(), bounds }
    }

    pub(crate) fn purge(&self) {
        self.meters.purge();
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metering: _, payer, bounds } = self;
        f.debug_struct("Meter").field("payer", payer).field("bounds", bounds).finish_non_exhaustive()
    }
}

impl Meter {
    /// What it may do.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Who pays for it.
    pub fn payer(&self) -> Payer {
        self.payer
    }

    /// Takes a request out of its rate.
    pub(crate) fn take_request(&self, now: Instant) -> Result<(), Denial> {
        self.take((Unit::Requests, 1), now)
    }

    /// Takes so many readings, before they are stored.
    pub(crate) fn take_readings(&self, count: usize, now: Instant) -> Result<(), Denial> {
        self.take((Unit::Readings, count), now)
    }

    /// Takes so many rows of history, before they are read.
    ///
    /// # Errors
    /// When there are not so many left: nothing is taken.
    pub fn take_rows(&self, count: usize, now: Instant) -> Result<(), Denial> {
        self.take((Unit::Rows, count), now)
    }

    /// Takes a command of a socket.
    ///
    /// # Errors
    /// When there is none left.
    pub fn take_command(&self, now: Instant) -> Result<(), Denial> {
        self.take((Unit::Commands, 1), now)
    }

    /// Takes a ticket.
    pub(crate) fn take_ticket(&self, now: Instant) -> Result<(), Denial> {
        self.take((Unit::Tickets, 1), now)
    }

    fn take(&self, cost: (Unit, usize), now: Instant) -> Result<(), Denial> {
        let Metering { meters, metrics, .. } = &*self.metering;
        meters.take(self.payer, &self.bounds, cost, now).map_err(|retry| {
            let denial = match retry {
                RetryAfter::Wait(time) => Denial::TooMany(u32::try_from(seconds(time)).unwrap_or(u32::MAX)),
                RetryAfter::Never => Denial::TooManyAtOnce,
            };
            if let Some(metrics) = metrics {
                metrics.denials.of(denial.into()).inc();
            }
            denial
        })
    }

    /// Writes what the rates allow and what is left of it.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        self.metering.meters.write(self.payer, &self.bounds, headers);
    }
}
