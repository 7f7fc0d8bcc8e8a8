//! Why a server stopped that should have gone on.

use std::io;

use roomwire_core::ConfigError;

use crate::listen::BindError;

/// A failure of the process or its surroundings, never of a peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The settings cannot be run with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A listener's address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate cannot be had.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Certificate(#[from] crate::tls::CertificateError),
    /// The operating system refused something else.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The refusal.
        source: io::Error,
    },
    /// A thread of the server ended on its own.
    #[error("a server thread ended: {0}")]
    Thread(String),
}

impl RunError {
    /// For `map_err`: an I/O error with what was being done (`"waiting for events"`).
    pub fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// The server has ended; the command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server has ended")]
pub struct Ended;
