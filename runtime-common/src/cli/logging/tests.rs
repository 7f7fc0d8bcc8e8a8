//! Tests of what is logged.

use tracing::Level;

use super::*;

#[test]
fn libraries_are_quieter_than_the_server() {
    let trace = filter(LogLevel::Trace);
    assert!(trace.would_enable("roomwire_tokio::driver", &Level::TRACE));
    assert!(trace.would_enable("mio::poll", &Level::WARN));
    assert!(!trace.would_enable("mio::poll", &Level::INFO));
    let error = filter(LogLevel::Error);
    assert!(!error.would_enable("roomwire_tokio", &Level::WARN));
    assert!(!error.would_enable("mio::poll", &Level::WARN));
    assert!(!filter(LogLevel::Off).would_enable("roomwire_tokio", &Level::ERROR));
}
