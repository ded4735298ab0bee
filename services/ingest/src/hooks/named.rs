//! The hooks of a configuration, by their names.

use std::collections::BTreeMap;

use chassis::Faults;

use super::{config::HookConfig, hook::Hook};

/// All of them.
pub(crate) struct Hooks(BTreeMap<String, Hook>);

impl Hooks {
    /// Reads the files of their secrets, too. What is wrong is noted as faults.
    pub(crate) fn new(configs: &BTreeMap<String, HookConfig>, faults: &mut Faults) -> Self {
        let hook = |(name, config): (&String, &HookConfig)| Some((name.clone(), config.hook(name, faults)?));
        Self(configs.iter().filter_map(hook).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Hook> {
        self.0.get(name)
    }
}
