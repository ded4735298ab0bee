//! Configuration in three layers: defaults in the code, then a TOML file, then the environment.

mod load;

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};

pub(crate) use self::load::{Layers, load};
use crate::admin::AdminConfig;
use crate::faults::Faults;
use crate::logs::LogConfig;

/// A service's whole configuration. Its sections refuse unknown keys (`#[serde(deny_unknown_fields)]`) and carry
/// their defaults.
pub trait Settings: DeserializeOwned + Send + 'static {
    fn log(&self) -> &LogConfig;

    /// `None`: a job without an admin port.
    fn admin(&self) -> Option<&AdminConfig>;

    /// Notes everything that a type cannot say; it is shown together with the faults of the types.
    fn validate(&self, faults: &mut Faults);
}

/// For `#[serde(deserialize_with = "chassis::list")]`: a list of strings that the environment may give as
/// `a,b,c`, a file also as an array.
///
/// # Errors
/// When the value is neither.
pub fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of strings, or one string with commas")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                items.push(item);
            }
            Ok(items)
        }
    }

    from.deserialize_any(List)
}
