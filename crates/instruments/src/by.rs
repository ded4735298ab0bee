//! A metric for each value of a label.

use std::{marker::PhantomData, sync::Arc};

use prometheus::{Error, Registry, Result};

use crate::{
    instrument::{Instrument, Spec},
    label::Label,
};

/// One metric for each value of a label. All exist from the start, and one is found by an index: prometheus' own vectors
/// take a lock and hash the label's text at each use.
#[derive(Debug)]
pub struct By<L, M> {
    metrics: Arc<[M]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label, M> By<L, M> {
    /// That of a value.
    pub fn of(&self, label: L) -> &M {
        &self.metrics[label.index()]
    }
}

impl<L, M> Clone for By<L, M> {
    fn clone(&self) -> Self {
        Self { metrics: self.metrics.clone(), label: PhantomData }
    }
}

impl<L: Label, M: Instrument> Instrument for By<L, M> {
    fn register(spec: Spec, registry: &Registry) -> Result<Self> {
        let [label] = spec.labels else {
            return Err(Error::Msg(format!("{} needs one label", spec.name)));
        };
        let metrics = L::all().map(|value| M::register(spec.with((label, value.label())), registry));
        Ok(Self { metrics: metrics.collect::<Result<_>>()?, label: PhantomData })
    }
}
