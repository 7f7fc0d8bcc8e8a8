//! What a server's events look like in a log. Connection and client ids, never payloads.

use roomwire_core::server::Event;

/// Logs an event: the life of connections at `debug`, the server's own at `info`.
pub fn log_event(event: &Event) {
    match event {
        Event::Opened {
            connection,
            client,
            peer,
            listener,
        } => tracing::debug!(%connection, %client, %peer, listener = listener.0, "opened"),
        Event::Closed {
            connection,
            client,
            cause,
            code,
            duration,
            received,
        } => {
            let duration_ms = duration.as_millis();
            tracing::debug!(%connection, %client, ?cause, code, duration_ms, received, "closed");
        }
        Event::Application {
            connection, client, ..
        } => tracing::debug!(%connection, %client, "application message"),
        Event::Drained => tracing::info!("drained: every connection has ended"),
        _ => {}
    }
}
