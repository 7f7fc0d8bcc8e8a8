//! What a server process is told at its start. Plain data: where it comes from is the business of `cli`, or of
//! the embedding program.

use std::path::PathBuf;

use roomwire_core::config::ListenerConfig;
use roomwire_core::{Config, ConfigError, ValidConfig};

use crate::listen::Address;
#[cfg(feature = "tls")]
use crate::tls::CertificateFiles;

/// Everything a server process is configured with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The rules of the core. Its list of listeners is made from [`listeners`](Self::listeners).
    pub core: Config,
    /// Threads, each of which serves a part of the clients: a shard, 1 to 255. Default 1; the binaries take as many
    /// as there are cores. Only a server of one is recorded.
    pub threads: u8,
    /// Where to listen; the index is the [`roomwire_core::ListenerId`]. A program that only hands over connections needs
    /// none.
    pub listeners: Vec<ListenerSettings>,
    /// How to log.
    pub log: LogSettings,
    /// Whether everything that goes in is recorded.
    pub record: RecordSettings,
    /// Whether sessions outlive the process.
    pub session_store: SessionStoreSettings,
    /// The certificates of listeners that speak TLS.
    #[cfg(feature = "tls")]
    pub certificates: Vec<CertificateFiles>,
}

impl Settings {
    /// The core's config with the options of every listener, checked.
    ///
    /// # Errors
    /// Names the first key that is off, its value and what is allowed.
    pub fn core_config(&self) -> Result<ValidConfig, ConfigError> {
        self.check_threads()?;
        self.check_addresses()?;
        self.check_tls()?;
        let listeners = self.listeners.iter().map(|l| l.options.clone()).collect();
        let mut core = self.core.clone();
        core.listeners = listeners;
        core.validate()
    }

    fn check_threads(&self) -> Result<(), ConfigError> {
        let allowed = match self.threads {
            0 => "1 to 255",
            2.. if self.record.file.is_some() => "1 where record.file is set",
            _ => return Ok(()),
        };
        Err(ConfigError {
            key: "threads.count".to_owned(),
            value: self.threads.to_string(),
            allowed: allowed.to_owned(),
        })
    }

    /// Who speaks TLS has certificates, and who has certificates speaks TLS.
    fn check_tls(&self) -> Result<(), ConfigError> {
        #[cfg(feature = "tls")]
        let certificates = self.certificates.len();
        #[cfg(not(feature = "tls"))]
        let certificates = 0;
        let speaker = self.listeners.iter().position(|listener| listener.tls);
        match speaker {
            Some(index) if certificates == 0 => Err(ConfigError {
                key: format!("listener[{index}].address"),
                value: format!("tls://{}", self.listeners[index].address),
                allowed: "one without tls:// where there is no certificate: --tls-cert and --tls-key name one"
                    .to_owned(),
            }),
            None if certificates > 0 => Err(ConfigError {
                key: "tls".to_owned(),
                value: format!("{certificates} certificates"),
                allowed: "none where no listener speaks TLS: --listen tls://127.0.0.1:8443 does".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// No address is listed twice; any number of listeners may take a free port of their own.
    fn check_addresses(&self) -> Result<(), ConfigError> {
        for (index, listener) in self.listeners.iter().enumerate() {
            let mut earlier = self.listeners.iter().take(index);
            let taken = earlier.position(|e| e.address == listener.address);
            if let Some(first) = taken.filter(|_| !listener.address.is_any()) {
                return Err(ConfigError {
                    key: format!("listener[{index}].address"),
                    value: listener.address.to_string(),
                    allowed: format!("an address that listener[{first}] does not have"),
                });
            }
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            core: Config::default(),
            threads: 1,
            listeners: vec![ListenerSettings::default()],
            log: LogSettings::default(),
            record: RecordSettings::default(),
            session_store: SessionStoreSettings::default(),
            #[cfg(feature = "tls")]
            certificates: Vec::new(),
        }
    }
}

/// Where to listen and what is offered there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// The address; port 0 takes a free one.
    pub address: Address,
    /// Whether TLS is spoken there. Needs the feature `tls`, and certificates.
    pub tls: bool,
    /// What is offered.
    pub options: ListenerConfig,
}

impl ListenerSettings {
    /// Default options at `address`.
    pub fn at(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            tls: false,
            options: ListenerConfig::default(),
        }
    }
}

impl Default for ListenerSettings {
    /// Default options at 127.0.0.1:8080.
    fn default() -> Self {
        Self::at(([127, 0, 0, 1], 8080))
    }
}

/// A recording of everything that goes into the server: see [`roomwire_core::replay`]. It holds the seed and is as
/// secret as a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "cli", serde(deny_unknown_fields, default))]
pub struct RecordSettings {
    /// Where to; a file that does not exist yet. `None`: nothing is recorded.
    pub file: Option<PathBuf>,
    /// It ends before it is larger, and serving goes on. Default 64 MiB.
    pub max_bytes: u64,
    /// With what clients say, not masked. Default `false`.
    pub payloads: bool,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self {
            file: None,
            max_bytes: 64 * 1024 * 1024,
            payloads: false,
        }
    }
}

/// Where sessions are kept for the next process, once this one is drained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "cli", serde(deny_unknown_fields, default))]
pub struct SessionStoreSettings {
    /// A directory, which is made if it is not there, with the key of its sessions where `sessions.key` is not set:
    /// servers of one machine may share it ([`DirStore`](crate::DirStore)). `None`: sessions end with the process.
    pub dir: Option<PathBuf>,
}

/// How the process logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "cli", serde(deny_unknown_fields, default))]
pub struct LogSettings {
    /// One line of text or one JSON object per event. Default `text`.
    pub format: LogFormat,
    /// The least severe level that is written. Default `info`.
    pub level: LogLevel,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[cfg_attr(feature = "cli", serde(rename_all = "snake_case"))]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[cfg_attr(feature = "cli", serde(rename_all = "snake_case"))]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What keeps the server from working.
    Error,
    /// What an operator should look at.
    Warn,
    /// The life of the server.
    #[default]
    Info,
    /// The life of every connection.
    Debug,
    /// Everything.
    Trace,
}
