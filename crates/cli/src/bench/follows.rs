//! What a client follows.

/// Everything, or some sensors.
#[derive(Debug, Clone, Default)]
pub(super) enum Follows {
    /// Whatever is stored.
    #[default]
    Everything,
    /// A number of the load's sensors, from this one on, wrapping around.
    Some {
        /// The first one's number.
        first: u32,
        /// How many.
        count: u32,
        /// How many there are.
        of: u32,
    },
}

impl Follows {
    /// What a client subscribes to; empty: everything.
    pub(super) fn sensors(&self) -> Vec<String> {
        match self {
            Self::Everything => Vec::new(),
            Self::Some { first, count, of } => {
                (*first..first + count).map(|number| sensor(u64::from(number % of))).collect()
            }
        }
    }

    /// Whether the client receives the load's sensor with this number.
    pub(super) fn has(&self, sensor: u32) -> bool {
        match self {
            Self::Everything => true,
            Self::Some { first, count, of } => (sensor + of - first % of) % of < *count,
        }
    }
}

/// The name of the load's sensor with this number.
pub(super) fn sensor(number: u64) -> String {
    format!("bench-{number:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_sent_what_it_subscribed_to_and_nothing_else() {
        for first in [0, 3, 8, 14] {
            let follows = Follows::Some { first, count: 4, of: 10 };
            let has: Vec<String> =
                (0..10).filter(|number| follows.has(*number)).map(|n| sensor(u64::from(n))).collect();
            let mut sensors = follows.sensors();
            sensors.sort();
            assert_eq!(has, sensors, "from {first}");
        }
    }
}
