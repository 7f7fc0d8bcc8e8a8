//! Where to listen and how, as it is written: an [`Address`], with `tls://` before it for TLS.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::listen::{Address, NoAddress};
use crate::settings::ListenerSettings;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) tls: bool,
    pub(super) address: Address,
}

impl FromStr for Endpoint {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let (tls, address) = match text.strip_prefix("tls://") {
            Some(address) => (true, address),
            None => (false, text),
        };
        let address = address.parse()?;
        Ok(Self { tls, address })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "tls://" } else { "" };
        write!(f, "{scheme}{}", self.address)
    }
}

impl From<&ListenerSettings> for Endpoint {
    fn from(settings: &ListenerSettings) -> Self {
        Self {
            tls: settings.tls,
            address: settings.address.clone(),
        }
    }
}

impl From<Endpoint> for ListenerSettings {
    /// With default options.
    fn from(endpoint: Endpoint) -> Self {
        Self {
            tls: endpoint.tls,
            ..Self::at(endpoint.address)
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
