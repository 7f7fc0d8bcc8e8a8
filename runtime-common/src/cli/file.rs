//! The config file: the core's sections, `[[listener]]`, `[log]`, `[record]`, `[session_store]` and `[threads]`. Unknown keys are refused everywhere.

use roomwire_core::Config;
use roomwire_core::config::{ListenerConfig, RateLimit};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::endpoint::Endpoint;
use super::options::Preset;
use crate::settings::{
    ListenerSettings, LogSettings, RecordSettings, SessionStoreSettings, Settings,
};

/// What a config file says.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Its settings over the defaults.
    pub(super) settings: Settings,
    /// It sets `limits.max_queued_bytes` itself.
    pub(super) sets_queued_bytes: bool,
    /// It sets `limits.max_buffered_bytes` itself.
    pub(super) sets_buffered_bytes: bool,
    /// It says where to listen.
    pub(super) sets_listeners: bool,
    /// It says how many threads there are.
    pub(super) sets_threads: bool,
}

/// What is wrong with a config file.
#[derive(Debug)]
pub(super) struct FileError {
    /// Where, counted from 1.
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

/// Reads a config file's text.
pub(super) fn parse(text: &str) -> Result<File, FileError> {
    // Lives longer than the tables that borrow it.
    let preset_text;
    let root = DeTable::parse(text).map_err(|e| explain(text, e))?;
    let span = root.span();
    let mut core = root.into_inner();
    let process: DeTable<'_> = PROCESS_SECTIONS
        .iter()
        .filter_map(|name| core.remove_entry(*name))
        .collect();
    let sets = |key| section(&core, "limits").is_some_and(|limits| limits.contains_key(key));
    let (sets_queued_bytes, sets_buffered_bytes) =
        (sets("max_queued_bytes"), sets("max_buffered_bytes"));
    if let Some(preset) = take_preset(text, &mut core)? {
        preset_text = toml::to_string(&preset).map_err(|e| FileError {
            line: None,
            message: e.to_string(),
        })?;
        let preset = DeTable::parse(&preset_text).map_err(|e| explain(text, e))?;
        fill_rate_limit(&mut core, preset.into_inner());
    }

    let process = Process::deserialize(Deserializer::from(Spanned::new(span.clone(), process)))
        .map_err(|e| explain(text, e))?;
    let core = Config::deserialize(Deserializer::from(Spanned::new(span, core)))
        .map_err(|e| with_process_sections(explain(text, e)))?;
    let mut settings = Settings {
        core,
        log: process.log,
        record: process.record,
        session_store: process.session_store,
        threads: process.threads.count.unwrap_or(1),
        #[cfg(feature = "tls")]
        certificates: process.certificate,
        ..Settings::default()
    };
    let sets_listeners = !process.listener.is_empty();
    if sets_listeners {
        settings.listeners = process.listener.into_iter().map(Into::into).collect();
    }
    Ok(File {
        settings,
        sets_queued_bytes,
        sets_buffered_bytes,
        sets_listeners,
        sets_threads: process.threads.count.is_some(),
    })
}

/// The settings as a config file that [`parse`] takes. Limits that are not set are left out.
pub(super) fn print(settings: &Settings) -> Result<String, toml::ser::Error> {
    let process = Process {
        listener: settings.listeners.iter().map(Into::into).collect(),
        log: settings.log,
        record: settings.record.clone(),
        session_store: settings.session_store.clone(),
        threads: Threads {
            count: Some(settings.threads),
        },
        #[cfg(feature = "tls")]
        certificate: settings.certificates.clone(),
    };
    // Only tables follow the core's part, so the two texts are one document.
    let core = toml::to_string(&settings.core)?;
    Ok(format!("{core}\n{}", toml::to_string(&process)?))
}

/// The line of a key such as `limits.max_headers` or `room[2].pattern`, counted from 1; `None` if the text does
/// not hold it.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?.into_inner();
    let mut parts = key.split('.');
    let mut found = entry(&root, parts.next()?)?;
    for part in parts {
        found = entry(found.get_ref().as_table()?, part)?;
    }
    Some(line_at(text, found.span().start))
}

/// `name` or `name[index]` of a table.
fn entry<'t, 'i>(table: &'t DeTable<'i>, part: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    let Some((name, index)) = part.split_once('[') else {
        return table.get(part);
    };
    let index: usize = index.strip_suffix(']')?.parse().ok()?;
    table.get(name)?.get_ref().as_array()?.get(index)
}

fn section<'t, 'i>(root: &'t DeTable<'i>, name: &str) -> Option<&'t DeTable<'i>> {
    root.get(name)?.get_ref().as_table()
}

/// Takes `rate_limit.preset` out and returns the section it stands for.
fn take_preset(text: &str, root: &mut DeTable<'_>) -> Result<Option<RateLimit>, FileError> {
    let Some(DeValue::Table(rate_limit)) = root.get_mut("rate_limit").map(Spanned::get_mut) else {
        return Ok(None);
    };
    let Some(name) = rate_limit.remove("preset") else {
        return Ok(None);
    };
    let preset = name.get_ref().as_str().and_then(Preset::from_name);
    preset.map(|p| Some(p.into())).ok_or_else(|| {
        let span = name.span();
        FileError {
            line: Some(line_at(text, span.start)),
            message: format!(
                "rate_limit.preset = {}: allowed is \"off\", \"chat\" or \"game\"",
                text.get(span).unwrap_or_default()
            ),
        }
    })
}

/// Adds what a preset says to the section; the keys that the file sets win.
fn fill_rate_limit<'i>(root: &mut DeTable<'i>, preset: DeTable<'i>) {
    let Some(DeValue::Table(rate_limit)) = root.get_mut("rate_limit").map(Spanned::get_mut) else {
        return;
    };
    for (key, value) in preset {
        if !rate_limit.contains_key(key.get_ref().as_ref()) {
            rate_limit.insert(key, value);
        }
    }
}

/// An error of the parser in one line, with the key it is about.
fn explain(text: &str, mut error: toml::de::Error) -> FileError {
    let line = error.span().map(|span| line_at(text, span.start));
    // Without its input the error names the key in words instead of drawing an arrow.
    error.set_input(None);
    let message = error.to_string();
    FileError {
        line,
        message: message.trim_end().replace('\n', " "),
    }
}

/// The core's list of sections does not know ours.
fn with_process_sections(mut error: FileError) -> FileError {
    if error.message.starts_with("unknown field") && error.message.contains("`room_names`") {
        error
            .message
            .push_str(", `certificate`, `listener`, `log`, `record`, `session_store`, `threads`");
    }
    error
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

/// The sections that are not the core's.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Process {
    listener: Vec<Listener>,
    log: LogSettings,
    record: RecordSettings,
    session_store: SessionStoreSettings,
    threads: Threads,
    #[cfg(feature = "tls")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificate: Vec<crate::tls::CertificateFiles>,
}

/// `certificate` is known to all, so that a program without TLS says what it lacks.
const PROCESS_SECTIONS: [&str; 6] = [
    "certificate",
    "listener",
    "log",
    "record",
    "session_store",
    "threads",
];

/// How many threads there are.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Threads {
    count: Option<u8>,
}

/// A listener's address and options on one level.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Listener {
    address: Endpoint,
    raw_payloads: bool,
    echo: bool,
    health: bool,
    web: bool,
    page: bool,
    plain_text: bool,
    trusted_proxies: Vec<String>,
    proxy_protocol: bool,
}

impl Default for Listener {
    fn default() -> Self {
        (&ListenerSettings::default()).into()
    }
}

impl From<&ListenerSettings> for Listener {
    fn from(settings: &ListenerSettings) -> Self {
        let ListenerConfig {
            raw_payloads,
            echo,
            health,
            web,
            page,
            plain_text,
            trusted_proxies,
            proxy_protocol,
        } = settings.options.clone();
        Self {
            address: settings.into(),
            raw_payloads,
            echo,
            health,
            web,
            page,
            plain_text,
            trusted_proxies,
            proxy_protocol,
        }
    }
}

impl From<Listener> for ListenerSettings {
    fn from(listener: Listener) -> Self {
        Self {
            tls: listener.address.tls,
            address: listener.address.address,
            options: ListenerConfig {
                raw_payloads: listener.raw_payloads,
                echo: listener.echo,
                health: listener.health,
                web: listener.web,
                page: listener.page,
                plain_text: listener.plain_text,
                trusted_proxies: listener.trusted_proxies,
                proxy_protocol: listener.proxy_protocol,
            },
        }
    }
}

#[cfg(test)]
mod tests;
