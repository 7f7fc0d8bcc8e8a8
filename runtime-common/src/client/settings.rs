//! How a client is to be: checked when it is made, so that what can never work is an error at once.

#[cfg(test)]
mod tests;

#[cfg(feature = "tls")]
use std::path::PathBuf;

use roomwire_core::ConfigError;
use roomwire_core::client::route::{Proxy, Route};
use roomwire_core::client::session::SessionConfig;

use super::url::Url;
use crate::error::RunError;
use crate::mailbox::MAILBOX;

/// What a client connects to, and how. Plain data but for the URL, which was checked when it was read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientSettings {
    url: Url,
    /// How it comes back, what waits, and what stands in its requests. The server that is named in there is the URL's.
    pub session: SessionConfig,
    /// A proxy that makes tunnels (`CONNECT`) and is connected to in place of the server. Default: none; the environment
    /// is not looked at.
    pub proxy: Option<Proxy>,
    /// For `wss://`: whom to trust. Default: whom the system does.
    #[cfg(feature = "tls")]
    pub roots: Roots,
    /// Events that wait for the program; then the client takes no further ones from the server. Default 1,024.
    pub max_waiting_events: usize,
}

/// Whose certificates a client trusts.
#[cfg(feature = "tls")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Those that the authorities in these PEM files vouch for, and no others.
    Files(Vec<PathBuf>),
    /// The same for certificates in PEM.
    Pem(Vec<u8>),
    /// Those that the system's authorities vouch for. They are read when a client is made.
    #[default]
    System,
}

impl ClientSettings {
    /// Everything but the server by default: `ws://HOST:PORT/PATH?QUERY`, or `wss://` for TLS; what follows the host may
    /// be left out. A host that is no ASCII has to be written as DNS has it.
    ///
    /// # Errors
    /// Says what is wrong with the URL.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let read: Url = url.parse().map_err(|allowed| ConfigError {
            key: "url".to_owned(),
            value: format!("{url:?}"),
            allowed,
        })?;
        Ok(Self::at(read))
    }

    /// The same for a URL that was read.
    pub(crate) fn at(url: Url) -> Self {
        let mut session = SessionConfig::new(url.host_field());
        session.connection.target.clone_from(&url.target);
        Self {
            url,
            session,
            proxy: None,
            #[cfg(feature = "tls")]
            roots: Roots::default(),
            max_waiting_events: MAILBOX,
        }
    }

    /// The URL, with what was left out.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// What the machine takes, and where a driver connects to.
    pub(super) fn plan(mut self) -> Result<Plan, RunError> {
        if self.max_waiting_events == 0 {
            return Err(RunError::Config(ConfigError {
                key: "max_waiting_events".to_owned(),
                value: "0".to_owned(),
                allowed: "1 and more".to_owned(),
            }));
        }
        self.session.connection.host = self.url.host_field();
        let mut route = Route::default();
        let mut dial = (self.url.host.clone(), self.url.port);
        if let Some(proxy) = self.proxy {
            dial = (proxy.host().to_owned(), proxy.port());
            route.proxy = Some((proxy, self.url.authority()));
        }
        #[cfg(feature = "tls")]
        if self.url.tls {
            route.tls = Some(super::roots::tls(&self.roots, &self.url.host)?);
        }
        #[cfg(not(feature = "tls"))]
        if self.url.tls {
            return Err(RunError::Config(ConfigError {
                key: "url".to_owned(),
                value: self.url.to_string(),
                allowed: "ws://, as this program was built without TLS".to_owned(),
            }));
        }
        Ok(Plan {
            session: self.session,
            route,
            dial,
            max_waiting_events: self.max_waiting_events,
        })
    }
}

/// Settings that were checked, but for those that the machine checks itself.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) session: SessionConfig,
    pub(super) route: Route,
    /// A name or an address, and the port.
    pub(super) dial: (String, u16),
    pub(super) max_waiting_events: usize,
}
