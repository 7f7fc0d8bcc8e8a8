//! What every adapter does before it serves.

#[cfg(feature = "tls")]
use std::sync::Arc;

use roomwire_core::ValidConfig;

use crate::error::RunError;
use crate::listen::{self, Address, Listener, SocketFile};
use crate::record::Recording;
use crate::seed;
use crate::settings::Settings;
#[cfg(feature = "tls")]
use crate::tls::Certificates;

/// Settings that were checked, and what they ask the system for: addresses, a seed, the file of a recording.
#[derive(Debug)]
pub struct Bound {
    /// The core's settings.
    pub config: ValidConfig,
    /// The core's randomness.
    pub seed: [u8; 32],
    /// One for each listener of the settings. Connections wait there until somebody accepts them.
    pub listeners: Vec<Listener>,
    /// Where each listens; with port 0, the port that it was given.
    pub addresses: Vec<Address>,
    /// If one is asked for.
    pub recording: Option<Recording>,
    /// Which of the listeners speak TLS.
    pub tls: Vec<bool>,
    /// For those that do.
    #[cfg(feature = "tls")]
    pub certificates: Option<Certificates>,
    /// Those of UNIX sockets: they are gone when this is dropped.
    pub files: Vec<SocketFile>,
}

impl Bound {
    /// Checks the settings and takes the addresses.
    ///
    /// # Errors
    /// [`RunError::Config`], [`RunError::Certificate`] and [`RunError::Bind`] name what is wrong and what to do; [`RunError::Io`] when the
    /// system has no randomness, or the file of a recording is there already or cannot be made.
    pub fn new(settings: &Settings) -> Result<Self, RunError> {
        let config = settings.core_config()?;
        #[cfg(feature = "tls")]
        let certificates = match &settings.certificates[..] {
            [] => None,
            files => Some(Certificates::load(files)?),
        };
        let seed = seed::from_system().map_err(RunError::io("reading a random seed"))?;
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        let mut files = Vec::new();
        for listener in &settings.listeners {
            let socket = listen::bind(&listener.address)?;
            files.extend(SocketFile::of(&listener.address));
            let address = socket.local_addr();
            let address = address.map_err(RunError::io("reading a listener's address"))?;
            // What was asked for by address has been looked at.
            if matches!(listener.address, Address::Inherited(_)) {
                listen::warn_if_public(&address);
            }
            addresses.push(address);
            listeners.push(socket);
        }
        Ok(Self {
            config,
            seed,
            listeners,
            addresses,
            recording: Recording::create(&settings.record)?,
            tls: settings
                .listeners
                .iter()
                .map(|listener| listener.tls)
                .collect(),
            #[cfg(feature = "tls")]
            certificates,
            files,
        })
    }

    /// How each listener speaks TLS; `None` if none does.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_listeners(&self) -> Option<Vec<Option<Arc<rustls::ServerConfig>>>> {
        let config = self.certificates.as_ref()?.config();
        let listeners = self.tls.iter();
        Some(
            listeners
                .map(|&tls| tls.then(|| Arc::clone(&config)))
                .collect(),
        )
    }
}
