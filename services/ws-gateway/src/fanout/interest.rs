//! Which sessions want which sensor: a reading costs its deliveries, whatever else is subscribed.

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use slab::Slab;
use wire::{Filter, Pattern};

use crate::fanout::mailbox::Mailbox;

/// A subscription of a session.
pub(crate) type Key = (u64, u32);

/// Who wants the same.
pub(crate) type Subscribers = AHashMap<Key, Arc<Mailbox>>;

/// Subscriptions by what they want. Those with the same filter are a group, for which readings are selected once: the viewers
/// of a tenant have the same.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    all: Subscribers,
    groups: Slab<Subscribers>,
    by_filter: AHashMap<Arc<Filter>, usize>,
    exact: AHashMap<Box<str>, Wanting>,
    prefix: AHashMap<Box<str>, Wanting>,
    /// How many prefixes there are of each length in bytes: a sensor is looked up once for each length.
    prefix_lengths: AHashMap<usize, usize>,
}

/// The groups that have a pattern.
type Wanting = AHashSet<usize>;

impl Interest {
    /// Adds a subscription.
    pub(crate) fn add(&mut self, mailbox: &Arc<Mailbox>, sub: u32, filter: &Arc<Filter>) {
        let subscribers = match &**filter {
            Filter::All => &mut self.all,
            Filter::Any(patterns) => self.group(filter, patterns),
        };
        subscribers.insert((mailbox.session, sub), mailbox.clone());
    }

    fn group(&mut self, filter: &Arc<Filter>, patterns: &[Pattern]) -> &mut Subscribers {
        let index = self.by_filter.get(filter).copied().unwrap_or_else(|| {
            let index = self.groups.insert(Subscribers::default());
            self.by_filter.insert(filter.clone(), index);
            patterns.iter().for_each(|pattern| {
                self.wanting(pattern).insert(index);
            });
            index
        });
        &mut self.groups[index]
    }

    fn wanting(&mut self, pattern: &Pattern) -> &mut Wanting {
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
        let Some(&index) = self.by_filter.get(filter) else { return };
        let subscribers = &mut self.groups[index];
        subscribers.remove(&key);
        if subscribers.is_empty() {
            self.groups.remove(index);
            self.by_filter.remove(filter);
            patterns.iter().for_each(|pattern| self.unwanted(pattern, index));
        }
    }

    /// A group that has the pattern is gone.
    fn unwanted(&mut self, pattern: &Pattern, group: usize) {
        let (map, text) = match pattern {
            Pattern::Exact(sensor) => (&mut self.exact, sensor.as_str()),
            Pattern::Prefix(prefix) => (&mut self.prefix, prefix.as_str()),
        };
        // the same pattern twice in a filter is one
        let Some(wanting) = map.get_mut(text) else { return };
        wanting.remove(&group);
        if !wanting.is_empty() {
            return;
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

    /// Those that want everything.
    pub(crate) fn all(&self) -> &Subscribers {
        &self.all
    }

    /// Whether no subscription names a sensor or a prefix.
    pub(crate) fn is_all_or_nothing(&self) -> bool {
        self.exact.is_empty() && self.prefix.is_empty()
    }

    /// Those that want some of these sensors by name or prefix, with the indexes of the ones they want, ascending.
    ///
    /// A sensor is looked up once for each length of a prefix, and what a pattern matches is shared by the groups that have it.
    pub(crate) fn of<'a>(
        &self,
        sensors: impl Iterator<Item = &'a str>,
    ) -> impl Iterator<Item = (&Subscribers, Arc<[u32]>)> {
        let mut by_pattern: AHashMap<*const Wanting, (&Wanting, Vec<u32>)> = AHashMap::new();
        for (index, sensor) in (0..).zip(sensors) {
            for wanting in self.patterns_of(sensor) {
                by_pattern.entry(wanting).or_insert((wanting, Vec::new())).1.push(index);
            }
        }
        let mut by_group: AHashMap<usize, Indexes> = AHashMap::new();
        for (wanting, indexes) in by_pattern.into_values() {
            let indexes: Arc<[u32]> = indexes.into();
            for group in wanting {
                let own = by_group.entry(*group).and_modify(|own| own.add(&indexes));
                own.or_insert_with(|| Indexes::Shared(indexes.clone()));
            }
        }
        by_group.into_iter().map(|(group, indexes)| (&self.groups[group], indexes.ascending()))
    }

    fn patterns_of<'a>(&'a self, sensor: &str) -> impl Iterator<Item = &'a Wanting> {
        let by_prefix =
            self.prefix_lengths.keys().filter_map(|length| self.prefix.get(sensor.get(..*length)?));
        self.exact.get(sensor).into_iter().chain(by_prefix)
    }
}

/// The sensors that a group wants.
enum Indexes {
    /// Those of one pattern, shared with other groups that have it.
    Shared(Arc<[u32]>),
    /// Those of several, in any order; two patterns may match the same.
    Several(Vec<u32>),
}

impl Indexes {
    fn add(&mut self, others: &[u32]) {
        match self {
            Self::Shared(own) => *self = Self::Several([&**own, others].concat()),
            Self::Several(own) => own.extend(others),
        }
    }

    fn ascending(self) -> Arc<[u32]> {
        match self {
            Self::Shared(indexes) => indexes,
            Self::Several(mut indexes) => {
                indexes.sort_unstable();
                indexes.dedup();
                indexes.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(sensors: &[&str]) -> Arc<Filter> {
        Arc::new(Filter::parse(Some(sensors)).unwrap())
    }

    /// Which subscriptions want which of these sensors.
    fn wanted(interest: &Interest, sensors: &[&str]) -> Vec<(u32, Vec<u32>)> {
        let of = interest.of(sensors.iter().copied());
        let mut wanted: Vec<_> = of
            .flat_map(|(subscribers, indexes)| {
                subscribers.keys().map(move |(_, sub)| (*sub, indexes.to_vec()))
            })
            .collect();
        wanted.sort_unstable();
        wanted
    }

    #[test]
    fn a_sensor_finds_those_that_want_it_and_no_others() {
        let (mut interest, mailbox) = (Interest::default(), Mailbox::new());
        let some =
            [&["a"][..], &["a*"], &["ab*", "b"], &["ä*"], &["ab*", "b"], &["a", "a*", "a*"]].map(filter);
        // and one that wants nothing
        let filters = some.into_iter().chain([Arc::new(Filter::Any(Vec::new()))]);
        let filters: Vec<_> = (0..).zip(filters).collect();
        for (sub, filter) in &filters {
            interest.add(&mailbox, *sub, filter);
        }
        assert_eq!(interest.groups.len(), filters.len() - 1, "two want the same");
        assert_eq!(wanted(&interest, &["a"]), [(0, vec![0]), (1, vec![0]), (5, vec![0])]);
        assert_eq!(wanted(&interest, &["ö", "äx"]), [(3, vec![1])]);
        let several =
            [(0, vec![0, 3]), (1, vec![0, 1, 3]), (2, vec![1, 2]), (4, vec![1, 2]), (5, vec![0, 1, 3])];
        assert_eq!(wanted(&interest, &["a", "abc", "b", "a"]), several);
        assert_eq!(wanted(&interest, &[]), []);

        interest.remove((mailbox.session, 2), &filters[2].1);
        assert_eq!(wanted(&interest, &["b"]), [(4, vec![0])], "the other of the same filter is left");
        for (sub, filter) in &filters {
            interest.remove((mailbox.session, *sub), filter);
        }
        let Interest { all, groups, by_filter, exact, prefix, prefix_lengths } = interest;
        assert!(all.is_empty() && groups.is_empty() && by_filter.is_empty());
        assert!(exact.is_empty() && prefix.is_empty() && prefix_lengths.is_empty());
    }
}
