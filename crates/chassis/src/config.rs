//! Configuration in three layers: defaults in the code, then a TOML file, then the environment.

mod keys;
mod kind;
mod layers;
mod load;
mod schema;
mod settings;

pub use self::keys::{KEYS, unlisted_keys};
pub(crate) use self::layers::Layers;
pub use self::load::from_environment;
pub(crate) use self::load::{Loaded, load};
pub use self::settings::Settings;

#[cfg(test)]
mod tests;
