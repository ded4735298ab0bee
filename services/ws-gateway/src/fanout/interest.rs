//! Which sessions want which sensor: a reading costs its deliveries, whatever else is subscribed.

use std::sync::Arc;

use ahash::AHashMap;
use wire::{Filter, Pattern};

use crate::fanout::mailbox::Mailbox;

/// A subscription of a session.
pub(crate) type Key = (u64, u32);

/// Who wants the same.
pub(crate) type Wanting = AHashMap<Key, Arc<Mailbox>>;

/// Subscriptions by what they want.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    all: Wanting,
    exact: AHashMap<Box<str>, Wanting>,
    prefix: AHashMap<Box<str>, Wanting>,
    /// How many prefixes there are of each length in bytes: a sensor is looked up once for each length.
    prefix_lengths: AHashMap<usize, usize>,
}

impl Interest {
    /// Adds a subscription.
    pub(crate) fn add(&mut self, mailbox: &Arc<Mailbox>, sub: u32, filter: &Filter) {
        let key = (mailbox.session, sub);
        match filter {
            Filter::All => {
                self.all.insert(key, mailbox.clone());
            }
            Filter::Any(patterns) => {
                for pattern in patterns {
                    self.pattern(pattern).insert(key, mailbox.clone());
                }
            }
        }
    }

    fn pattern(&mut self, pattern: &Pattern) -> &mut Wanting {
        match pattern {
            Pattern::Exact(sensor) => self.exact.entry(sensor.as_str().into()).or_default(),
            Pattern::Prefix(prefix) => {
                let lengths = &mut self.prefix_lengths;
                self.prefix.entry(prefix.as_str().into()).or_insert_with(|| {
                    *lengths.entry(prefix.len()).or_default() += 1;
                    Wanting::default()
                })
            }
        }
    }

    /// Takes a subscription out.
    pub(crate) fn remove(&mut self, key: Key, filter: &Filter) {
        let Filter::Any(patterns) = filter else {
            self.all.remove(&key);
            return;
        };
        for pattern in patterns {
            let (map, text) = match pattern {
                Pattern::Exact(sensor) => (&mut self.exact, sensor.as_str()),
                Pattern::Prefix(prefix) => (&mut self.prefix, prefix.as_str()),
            };
            let Some(wanting) = map.get_mut(text) else { continue };
            wanting.remove(&key);
            if !wanting.is_empty() {
                continue;
            }
            map.remove(text);
            if matches!(pattern, Pattern::Prefix(_))
                && let Some(count) = self.prefix_lengths.get_mut(&text.len())
            {
                *count -= 1;
                if *count == 0 {
                    self.prefix_lengths.remove(&text.len());
                }
            }
        }
    }

    /// Those that want everything.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Arc<Mailbox>)> {
        self.all.iter()
    }

    /// Those that want this sensor by name or prefix, by pattern; one may be in several.
    pub(crate) fn of<'a>(&'a self, sensor: &str) -> impl Iterator<Item = &'a Wanting> {
        let by_prefix =
            self.prefix_lengths.keys().filter_map(|length| self.prefix.get(sensor.get(..*length)?));
        self.exact.get(sensor).into_iter().chain(by_prefix)
    }

    /// Whether no subscription names a sensor or a prefix.
    pub(crate) fn is_all_or_nothing(&self) -> bool {
        self.exact.is_empty() && self.prefix.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanting(interest: &Interest, sensor: &str) -> Vec<u32> {
        let mut subs: Vec<u32> = interest.of(sensor).flatten().map(|((_, sub), _)| *sub).collect();
        subs.sort_unstable();
        subs
    }

    #[test]
    fn a_sensor_finds_those_that_want_it_and_no_others() {
        let mut interest = Interest::default();
        let mailbox = Mailbox::new();
        let some = [&["a"][..], &["a*"], &["ab*", "b"], &["ä*"]];
        let some = some.iter().map(|sensors| Filter::parse(Some(sensors)).unwrap());
        // and one that wants nothing
        let filters: Vec<Filter> = some.chain([Filter::Any(Vec::new())]).collect();
        for (sub, filter) in filters.iter().enumerate() {
            interest.add(&mailbox, sub as u32, filter);
        }
        assert_eq!(wanting(&interest, "a"), [0, 1]);
        assert_eq!(wanting(&interest, "abc"), [1, 2]);
        assert_eq!(wanting(&interest, "b"), [2]);
        assert_eq!(wanting(&interest, "äx"), [3]);
        assert_eq!(wanting(&interest, "ö"), [0; 0]);
        for (sub, filter) in filters.iter().enumerate() {
            interest.remove((mailbox.session, sub as u32), filter);
        }
        assert!(interest.is_all_or_nothing() && interest.prefix_lengths.is_empty());
    }
}
