//! What a service says of its configuration.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::faults::Faults;

/// A service's own sections. They carry their defaults; their schema says which keys there are and what fits them. The
/// sections `log` and `admin` belong to every service, and come with [`Service`](crate::Service).
pub trait Settings: DeserializeOwned + JsonSchema + Send + 'static {
    /// `false`: a job without an admin port.
    const HAS_ADMIN_PORT: bool = true;

    /// Notes everything that a type cannot say; it is shown together with the faults of the types.
    fn validate(&self, faults: &mut Faults);
}
