//! What each attempt is made with, where the program wants to be asked.

use super::Session;
use super::config::ms;
use super::event::{Credentials, Event};

impl Session {
    /// Asks the program.
    pub(super) fn want_credentials(&mut self, timeout_ms: u64) {
        self.credentials_due = Some(self.now + ms(timeout_ms));
        let attempt = self.stats.attempts;
        self.tell(Event::CredentialsWanted { attempt });
    }

    /// The program's answer.
    pub(super) fn has_credentials(&mut self, attempt: u64, credentials: Credentials) {
        let is_wanted = self.credentials_due.is_some() && attempt == self.stats.attempts;
        if !is_wanted {
            self.stats.stale += 1;
            return;
        }
        self.credentials_due = None;
        let Credentials {
            target,
            headers,
            protocols,
        } = credentials;
        let mut config = self.wire_config.clone();
        if let Some(target) = target {
            config.target = target;
        }
        let is_replaced = |name: &str| headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
        config.headers.retain(|(name, _)| !is_replaced(name));
        config.headers.extend(headers);
        config.protocols.extend(protocols);
        self.connect_with(config);
    }
}
