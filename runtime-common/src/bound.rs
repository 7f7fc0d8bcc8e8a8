//! What every adapter does before it serves.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use roomwire_core::cluster::Relay;
use roomwire_core::server::{Command, Place};
#[cfg(feature = "tls")]
use roomwire_core::tls::TlsListener;
use roomwire_core::{ConfigError, ShardId, ValidConfig};

use crate::answers::{Answers, Hook};
use crate::desk::Desk;
use crate::error::RunError;
use crate::events::Drains;
use crate::links::Links;
use crate::listen::{self, Address, Listener, SocketFile, SocketFiles};
use crate::mailbox::Bell;
use crate::pool::Pool;
use crate::record::Recording;
use crate::seed;
use crate::sessions::{Asking, DirStore, Exchange, Keeper, SessionStore};
use crate::settings::Settings;
#[cfg(feature = "tls")]
use crate::tls::Certificates;

/// Settings that were checked, and what they ask the system for: addresses, a seed, the file of a recording. One shard
/// has all of it, and the [others](Self::others).
#[derive(Debug)]
pub struct Bound {
    /// Which shard it is for.
    pub place: Place,
    /// The other shards, for threads of their own: the first has them.
    pub others: Vec<Self>,
    /// To the other shards.
    pub links: Links<Relay>,
    /// For what takes long, the same for all shards; `None`: the settings want none.
    pub(crate) pool: Option<Arc<Pool>>,
    /// For what answers application messages, the same for all shards; `None`: the settings want none.
    pub(crate) hooks: Option<Arc<Pool>>,
    /// What answers them there, if anything.
    pub(crate) hook: Option<Hook>,
    /// What they have in common of sessions between servers.
    pub(crate) exchange: Arc<Exchange>,
    /// Wakes the shard's loop.
    pub bell: Arc<Bell>,
    /// Readable when the bell has been rung.
    pub ear: UnixStream,
    /// Which shards are still to be drained.
    pub drains: Drains,
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
    pub files: SocketFiles,
}

impl Bound {
    /// Checks the settings and takes the addresses.
    ///
    /// # Errors
    /// [`RunError::Config`], [`RunError::Certificate`] and [`RunError::Bind`] name what is wrong and what to do; [`RunError::Io`] when the
    /// system has no randomness, or the file of a recording is there already or cannot be made.
    pub fn new(settings: &Settings) -> Result<Self, RunError> {
        let (config, store) = with_store(settings)?;
        #[cfg(feature = "tls")]
        let certificates = match &settings.certificates[..] {
            [] => None,
            files => Some(Certificates::load(files)?),
        };
        let seed = seed::from_system().map_err(RunError::io("reading a random seed"))?;
        let count = usize::from(settings.threads);
        let mut listeners: Vec<_> = (0..count).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        let mut files = Vec::new();
        for listener in &settings.listeners {
            let sockets = listen::bind_shards(&listener.address, count)?;
            files.extend(SocketFile::of(&listener.address));
            let address = sockets[0].local_addr();
            let address = address.map_err(RunError::io("reading a listener's address"))?;
            // What was asked for by address has been looked at.
            if matches!(listener.address, Address::Inherited(_)) {
                listen::warn_if_public(&address);
            }
            addresses.push(address);
            for (shard, socket) in listeners.iter_mut().zip(sockets) {
                shard.push(socket);
            }
        }
        let files = SocketFiles::from(files);
        let mut recording = Recording::create(&settings.record)?;
        let bells = (0..count).map(|_| Bell::new());
        let bells = bells.collect::<std::io::Result<Vec<_>>>();
        let bells = bells.map_err(RunError::io("making a bell for a thread"))?;
        let (bells, ears): (Vec<_>, Vec<_>) =
            bells.into_iter().map(|(b, e)| (Arc::new(b), e)).unzip();
        let drains = Drains::of(count);
        let threads = config.offload.threads;
        let pool = (threads > 0).then(|| Arc::new(Pool::new("roomwire-pool", threads)));
        let threads = config.offload.hook_threads;
        let hooks = (threads > 0).then(|| {
            let patience = drains.time_left(Duration::from_millis(config.drain.timeout_ms));
            Arc::new(Pool::with_patience("roomwire-hook", threads, patience))
        });
        let relay = Duration::from_millis(config.timeouts.relay_ms);
        let exchange = Exchange::new(hooks.as_ref(), relay, count);
        if let Some(store) = store {
            exchange.keep_in(store);
        }
        let links = Links::between(&bells);
        let ends = bells.into_iter().zip(ears).zip(links).zip(listeners);
        let shards = (0..settings.threads).zip(ends);
        let mut shards = shards.map(|(shard, (((bell, ear), links), listeners))| Self {
            place: Place {
                shard: ShardId(shard),
                shards: settings.threads,
                restarts: 0,
            },
            others: Vec::new(),
            links,
            pool: pool.clone(),
            hooks: hooks.clone(),
            hook: None,
            exchange: Arc::clone(&exchange),
            bell,
            ear,
            drains: drains.clone(),
            config: config.clone(),
            seed,
            listeners,
            addresses: addresses.clone(),
            recording: recording.take(),
            tls: settings.listeners.iter().map(|l| l.tls).collect(),
            #[cfg(feature = "tls")]
            certificates: certificates.clone(),
            files: files.clone(),
        });
        let first = shards.next();
        // The settings have at least one.
        let mut first = first.ok_or_else(|| RunError::Thread("no threads".to_owned()))?;
        first.others = shards.collect();
        Ok(first)
    }

    /// The same once more, for when the shard has failed: its listeners and links, and no recording, which ends with
    /// what failed.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn again(&self) -> std::io::Result<Self> {
        let listeners = self.listeners.iter().map(Listener::try_clone);
        Ok(Self {
            place: Place {
                restarts: self.place.restarts.wrapping_add(1),
                ..self.place
            },
            others: Vec::new(),
            links: self.links.clone(),
            pool: self.pool.clone(),
            hooks: self.hooks.clone(),
            hook: self.hook.clone(),
            exchange: Arc::clone(&self.exchange),
            bell: Arc::clone(&self.bell),
            ear: self.ear.try_clone()?,
            drains: self.drains.clone(),
            config: self.config.clone(),
            seed: self.seed,
            listeners: listeners.collect::<std::io::Result<_>>()?,
            addresses: self.addresses.clone(),
            recording: None,
            tls: self.tls.clone(),
            #[cfg(feature = "tls")]
            certificates: self.certificates.clone(),
            files: self.files.clone(),
        })
    }

    /// This life's end of the pool, who answers application messages, and who keeps sessions.
    pub(crate) fn desk(&self) -> (Desk<Command>, Answers, Keeper) {
        let jobs = self.config.offload.max_jobs;
        let desk = Desk::new(self.pool.clone(), &self.bell, jobs);
        let (hook, hooks) = (self.hook.as_ref(), self.hooks.as_ref());
        let answers = Answers::new(hook, hooks, desk.tray(), &self.config.limits);
        let keeper = Keeper::new(&self.exchange, hooks, desk.tray(), &self.config.limits);
        (desk, answers, keeper)
    }

    /// Has a store keep the sessions that leave, and find those that are wanted, on all shards.
    ///
    /// # Errors
    /// [`RunError::Config`] where [`sessions.key`](roomwire_core::config::Sessions::key) is not set.
    pub fn keep_sessions(&self, store: Arc<dyn SessionStore>) -> Result<(), RunError> {
        if self.config.sessions.key.is_none() {
            return Err(RunError::Config(ConfigError {
                key: "sessions.key".to_owned(),
                value: "none".to_owned(),
                allowed: "a key where a store keeps sessions, the same for all servers: \
                    64 hexadecimal digits, as `openssl rand -hex 32` makes them"
                    .to_owned(),
            }));
        }
        self.exchange.keep_in(store);
        Ok(())
    }

    /// Where its handles ask for sessions.
    pub(crate) fn asking(&self) -> Asking {
        Asking::new(&self.exchange)
    }

    /// Has a function answer application messages, on all shards.
    pub fn answer(&mut self, hook: &Hook) {
        self.hook = Some(hook.clone());
        for other in &mut self.others {
            other.hook = Some(hook.clone());
        }
    }

    /// The first shard, then the others.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// Takes the shards apart, the first one first.
    pub fn into_shards(mut self) -> Vec<Self> {
        let others = std::mem::take(&mut self.others);
        std::iter::once(self).chain(others).collect()
    }

    /// How each listener speaks TLS; `None` if none does.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_listeners(&self) -> Option<Vec<Option<TlsListener>>> {
        let config = self.certificates.as_ref()?.config();
        let listeners = self.tls.iter().zip(&self.config.listeners);
        let listeners = listeners.map(|(&tls, listener)| {
            tls.then(|| TlsListener {
                config: Arc::clone(&config),
                proxy_protocol: listener.proxy_protocol,
            })
        });
        Some(listeners.collect())
    }
}

/// The core's config, and the store that the settings ask for; its sessions have a key.
fn with_store(
    settings: &Settings,
) -> Result<(ValidConfig, Option<Arc<dyn SessionStore>>), RunError> {
    let Some(dir) = &settings.session_store.dir else {
        return Ok((settings.core_config()?, None));
    };
    // What is wrong with the settings is told before anything is made.
    settings.core_config()?;
    let failed = |error: std::io::Error| {
        let error = std::io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
        RunError::io("using the directory of session_store.dir")(error)
    };
    let store = DirStore::open(dir).map_err(failed)?;
    let mut settings = settings.clone();
    let key = &mut settings.core.sessions.key;
    if key.is_none() {
        *key = Some(store.key().map_err(failed)?);
    }
    Ok((settings.core_config()?, Some(Arc::new(store))))
}
