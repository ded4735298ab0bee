//! The keys of one JSON object, none of them twice.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A key, borrowed from the text where it holds no escapes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key<'a>(pub(crate) Cow<'a, str>);

/// So many keys are compared one by one: few objects have more, and hashing costs more than that.
const FEW: usize = 8;

/// The keys that an object has named so far.
#[derive(Default)]
pub(crate) struct Keys<'a> {
    few: Vec<Key<'a>>,
    more: HashSet<Key<'a>>,
}

impl<'a> Keys<'a> {
    /// Fails when the object has named the key before.
    pub(crate) fn add<E: Error>(&mut self, key: Key<'a>) -> Result<(), E> {
        if self.few.contains(&key) || self.more.contains(&key) {
            return Err(E::custom(format_args!("names the key {:?} twice", key.0)));
        }
        if self.few.len() < FEW {
            self.few.push(key);
        } else {
            self.more.insert(key);
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_use_of_a_key_is_found_among_few_and_among_many() {
        let key = |n: usize| Key(Cow::Owned(n.to_string()));
        for count in [1, FEW, FEW + 1, 100] {
            for twice in [0, count / 2, count - 1] {
                let mut keys = Keys::default();
                (0..count).try_for_each(|n| keys.add::<serde_json::Error>(key(n))).unwrap();
                keys.add::<serde_json::Error>(key(twice)).unwrap_err();
            }
        }
    }
}
