//! From flags, environment and file to the settings that are in force.

use std::num::NonZero;
use std::path::Path;

use roomwire_core::ConfigError;
use roomwire_core::config::RateLimit;

use super::file::{self, File};
use super::options::{Options, Preset, RateLimitOption};
use crate::listen::Address;
use crate::settings::{ListenerSettings, Settings};
use crate::systemd;

/// The settings in force, checked.
///
/// # Errors
/// Says where (file and line, or flag), which key, its value and what is allowed.
pub(super) fn load(options: &Options) -> Result<Settings, String> {
    let Some(path) = &options.config else {
        return resolve(options, &File::default(), |_| String::new());
    };
    let shown = path.display();
    let text = read(path)?;
    let file = file::parse(&text).map_err(|e| match e.line {
        Some(line) => format!("{shown}:{line}: {}", e.message),
        None => format!("{shown}: {}", e.message),
    })?;
    resolve(options, &file, |key| match file::line_of(&text, key) {
        Some(line) => format!("{shown}:{line}: "),
        None => format!("{shown}: "),
    })
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|e| format!("cannot read the config file {}: {e}", path.display()))
}

/// Puts the options over the file. `place` says where in the file a key stands.
fn resolve(
    options: &Options,
    file: &File,
    place: impl FnOnce(&str) -> String,
) -> Result<Settings, String> {
    let mut settings = file.settings.clone();
    if !file.sets_listeners {
        inherit(&mut settings, systemd::inherited_count());
    }
    let given = Given::apply(options, &mut settings);
    if options.threads.is_none() && !file.sets_threads {
        settings.threads = threads_for(&settings);
    }
    #[cfg(feature = "tls")]
    certificates(options, &mut settings)?;
    grow_queues(&mut settings, file);
    match settings.core_config() {
        Ok(_) => Ok(settings),
        Err(error) => Err(match given.flag_of(&error) {
            Some(flag) => format!("{flag}: {error}"),
            None => format!("{}{error}", place(&error.key)),
        }),
    }
}

/// One thread for each core; one alone where all of it is recorded.
fn threads_for(settings: &Settings) -> u8 {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    match settings.record.file {
        None => u8::try_from(cores).unwrap_or(u8::MAX),
        Some(_) => 1,
    }
}

/// Each certificate has the key that is given in the same place.
#[cfg(feature = "tls")]
fn certificates(options: &Options, settings: &mut Settings) -> Result<(), String> {
    let (Some(certs), Some(keys)) = (&options.tls_cert, &options.tls_key) else {
        return Ok(());
    };
    if certs.len() != keys.len() {
        return Err(format!(
            "--tls-cert: {} certificates and {} keys: allowed is one key for each, in the same order",
            certs.len(),
            keys.len()
        ));
    }
    let pairs = certs.iter().cloned().zip(keys.iter().cloned());
    let pairs = pairs.map(|(cert, key)| crate::tls::CertificateFiles { cert, key });
    settings.certificates = pairs.collect();
    Ok(())
}

/// Sockets that the process was started with are its listeners, unless others are asked for.
fn inherit(settings: &mut Settings, count: usize) {
    let numbers = (0..count).filter_map(|number| u16::try_from(number).ok());
    let inherited = numbers.map(|number| ListenerSettings::at(Address::Inherited(number)));
    if count > 0 {
        settings.listeners = inherited.collect();
    }
}

/// Queues that nobody set must not stand in the way of a message size that somebody did.
fn grow_queues(settings: &mut Settings, file: &File) {
    let smallest = settings.core.min_queued_bytes();
    if !file.sets_queued_bytes {
        let queued = &mut settings.core.limits.max_queued_bytes;
        *queued = smallest.max(*queued);
    }
    let smallest = settings.core.min_buffered_bytes();
    if !file.sets_buffered_bytes {
        let buffered = &mut settings.core.limits.max_buffered_bytes;
        *buffered = smallest.max(*buffered);
    }
}

/// Which keys were given as a flag or environment variable: an error about one must not point at the file.
#[derive(Default)]
struct Given(Vec<(&'static str, &'static str)>);

impl Given {
    fn apply(options: &Options, settings: &mut Settings) -> Self {
        let mut given = Self::default();
        given.listeners(options, settings);
        let core = &mut settings.core;
        if let Some(rate) = options.rate_limit {
            core.rate_limit = rate_limit(rate, &core.rate_limit);
            given.0.push(("rate_limit", "--rate-limit"));
        }
        given.set(
            &mut core.compression.enabled,
            options.compression,
            "compression.enabled",
            "--compression",
        );
        let limits = &mut core.limits;
        given.set(
            &mut limits.max_connections,
            options.max_connections.map(Some),
            "limits.max_connections",
            "--max-connections",
        );
        given.set(
            &mut limits.max_connections_per_ip,
            options.max_connections_per_ip.map(Some),
            "limits.max_connections_per_ip",
            "--max-connections-per-ip",
        );
        given.set(
            &mut limits.max_message_bytes,
            options.max_message_bytes,
            "limits.max_message_bytes",
            "--max-message-bytes",
        );
        given.set(
            &mut core.origin.allow,
            options.allow_origin.clone(),
            "origin.allow",
            "--allow-origin",
        );
        given.set(
            &mut core.drain.code,
            options.drain_code,
            "drain.code",
            "--drain-code",
        );
        given.set(
            &mut core.drain.timeout_ms,
            options.drain_timeout_ms,
            "drain.timeout_ms",
            "--drain-timeout-ms",
        );
        given.set(
            &mut core.heartbeat.interval_ms,
            options.heartbeat_interval_ms,
            "heartbeat.interval_ms",
            "--heartbeat-interval-ms",
        );
        given.set(
            &mut core.heartbeat.timeout_ms,
            options.heartbeat_timeout_ms,
            "heartbeat.timeout_ms",
            "--heartbeat-timeout-ms",
        );
        given.set(
            &mut core.timeouts.welcome_delay_ms,
            options.welcome_delay_ms,
            "timeouts.welcome_delay_ms",
            "--welcome-delay-ms",
        );
        given.set(
            &mut settings.threads,
            options.threads,
            "threads.count",
            "--threads",
        );
        given.set(&mut settings.log.format, options.log, "log.format", "--log");
        given.set(
            &mut settings.log.level,
            options.log_level,
            "log.level",
            "--log-level",
        );
        let record = &mut settings.record;
        given.set(
            &mut record.file,
            options.record.clone().map(Some),
            "record.file",
            "--record",
        );
        given.set(
            &mut record.max_bytes,
            options.record_max_bytes,
            "record.max_bytes",
            "--record-max-bytes",
        );
        given.set(
            &mut record.payloads,
            options.record_payloads,
            "record.payloads",
            "--record-payloads",
        );
        given.set(
            &mut settings.session_store.dir,
            options.session_dir.clone().map(Some),
            "session_store.dir",
            "--session-dir",
        );
        given
    }

    fn listeners(&mut self, options: &Options, settings: &mut Settings) {
        if options.trusted_proxy.is_some() {
            self.0.push(("listener.trusted_proxies", "--trusted-proxy"));
        }
        if let Some(addresses) = &options.listen {
            let endpoints = addresses.iter().cloned();
            settings.listeners = endpoints.map(ListenerSettings::from).collect();
            self.0.push(("listener", "--listen"));
        }
        for listener in &mut settings.listeners {
            let offered = &mut listener.options;
            offered.echo = options.echo.unwrap_or(offered.echo);
            offered.page = options.page.unwrap_or(offered.page);
            offered.raw_payloads = options.raw_payloads.unwrap_or(offered.raw_payloads);
            if let Some(proxies) = &options.trusted_proxy {
                offered.trusted_proxies.clone_from(proxies);
            }
        }
    }

    fn set<T>(&mut self, place: &mut T, value: Option<T>, key: &'static str, flag: &'static str) {
        if let Some(value) = value {
            *place = value;
            self.0.push((key, flag));
        }
    }

    fn flag_of(&self, error: &ConfigError) -> Option<&'static str> {
        // Flags are about all listeners, whichever the error is about.
        let wrong = match error.key.strip_prefix("listener[") {
            Some(one) => format!(
                "listener{}",
                one.split_once(']').map_or("", |(_, rest)| rest)
            ),
            None => error.key.clone(),
        };
        let part_of = |key: &str| {
            let rest = wrong.strip_prefix(key)?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then_some(())
        };
        self.0
            .iter()
            .find_map(|(key, flag)| part_of(key).map(|()| *flag))
    }
}

/// A preset replaces the whole section, a custom rate only what it names.
fn rate_limit(option: RateLimitOption, before: &RateLimit) -> RateLimit {
    match option {
        RateLimitOption::Preset(preset) => preset.into(),
        RateLimitOption::Custom { messages, per_ms } => RateLimit {
            enabled: true,
            messages,
            per_ms,
            ..before.clone()
        },
    }
}

impl From<Preset> for RateLimit {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Off => Self::off(),
            Preset::Chat => Self::chat(),
            Preset::Game => Self::game(),
        }
    }
}

#[cfg(test)]
mod tests;
