//! Sessions in a directory: they outlive the process that had them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roomwire_core::ClientId;
use roomwire_core::config::SessionKey;
use roomwire_core::server::SavedSession;

use super::SessionStore;
use crate::seed;

/// A directory that keeps the sessions of a server that is drained, for the one that is started after it, or beside it on
/// the same machine: a file for each, removed when it is taken or, at the next start, when it is over.
///
/// What is in it is read by whoever can read the directory, which is made for its owner alone.
#[derive(Debug)]
pub struct DirStore {
    dir: PathBuf,
    /// Names files that nobody else has: no other process, and none that was killed.
    own: String,
    next: AtomicU64,
    failed: AtomicU64,
}

/// More than any server makes of one session.
const MAX_BYTES: u64 = 256 << 20;

impl DirStore {
    /// Uses a directory, which is made if it is not there, and forgets what is over in it. O(files).
    ///
    /// # Errors
    /// When it cannot be made or read, or others than who runs the server can write to it. Whether it can be written to is
    /// found out as well.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let there = fs::metadata(&dir)?;
        if there.mode() & 0o022 != 0 || there.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(
                "it can be written to by others than who runs the server: chown it, and chmod 700 it",
            ));
        }
        let [own, ..] = *seed::from_system()?.as_chunks::<8>().0 else {
            return Err(io::Error::other("no randomness"));
        };
        let store = Self {
            dir,
            own: format!("{:016x}", u64::from_be_bytes(own)),
            next: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        let probe = store.own_file("probe");
        create(&probe)?;
        fs::remove_file(&probe)?;
        store.forget_old()?;
        Ok(store)
    }

    /// The [`sessions.key`](roomwire_core::config::Sessions::key) of the servers that share the directory: in a file beside
    /// the sessions, which the first of them makes.
    ///
    /// # Errors
    /// When the file cannot be made or read, others than its owner can read it, or it holds no key.
    pub fn key(&self) -> io::Result<SessionKey> {
        let path = self.dir.join("key");
        if !path.try_exists()? {
            let own = self.own_file("key");
            let key = SessionKey(seed::from_system()?).to_hex();
            create(&own)?.write_all(key.as_bytes())?;
            // Whole, or not at all; another server may have been quicker.
            let linked = fs::hard_link(&own, &path);
            fs::remove_file(&own)?;
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let file = open(&path)?;
        if file.metadata()?.mode() & 0o077 != 0 {
            return Err(io::Error::other(format!(
                "{} can be read by others than its owner: chmod 600 it",
                path.display()
            )));
        }
        let mut text = String::new();
        file.take(128).read_to_string(&mut text)?;
        // What came was to be a secret: it is not repeated.
        SessionKey::from_hex(text.trim()).ok_or_else(|| {
            let path = path.display();
            io::Error::other(format!(
                "{path} holds no key of 64 hexadecimal digits: remove it, and a new one is made"
            ))
        })
    }

    /// Sessions that could not be saved so far: each is over for its client.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn path(&self, client: ClientId) -> PathBuf {
        // An id is letters, digits, `-` and `_`.
        self.dir.join(format!("{client}{SUFFIX}"))
    }

    /// A file that no other process, nor thread, has.
    fn own_file(&self, what: &str) -> PathBuf {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let own = &self.own;
        self.dir.join(format!("{OWN}{what}-{own}-{next}"))
    }

    fn write(&self, session: &SavedSession) -> io::Result<()> {
        let own = self.own_file("session");
        let mut file = create(&own)?;
        let mut write = || {
            file.write_all(session.as_bytes())?;
            file.set_modified(UNIX_EPOCH + Duration::from_millis(session.until_ms()))?;
            fs::rename(&own, self.path(session.client()))
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&own);
        })
    }

    /// Whoever moves the file has the session alone.
    fn read(&self, client: ClientId) -> io::Result<Option<SavedSession>> {
        let own = self.own_file("taken");
        match fs::rename(self.path(client), &own) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            moved => moved?,
        }
        let session = read(&own);
        fs::remove_file(&own)?;
        session
    }

    /// Files say by their time until when they are kept.
    fn forget_old(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // One that is gone meanwhile was taken.
            let Ok(until) = entry.metadata().and_then(|it| it.modified()) else {
                continue;
            };
            let over = SystemTime::now().duration_since(until);
            let is_over = |by| over.as_ref().is_ok_and(|over| *over >= by);
            // Others may be about to name theirs.
            let is_left = name.starts_with(OWN) && is_over(ABANDONED);
            if is_left || name.ends_with(SUFFIX) && is_over(Duration::ZERO) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

const SUFFIX: &str = ".session";
/// How files begin that are not whole yet, or not gone yet.
const OWN: &str = ".roomwire-";
/// After that long nobody is at such a file any more.
const ABANDONED: Duration = Duration::from_secs(3_600);

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Without waiting, as a pipe would.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other(format!("{} is no file", path.display()))),
    }
}

/// What is in a file, if that is a session.
fn read(path: &Path) -> io::Result<Option<SavedSession>> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(SavedSession::from_bytes(&bytes).ok())
}

impl SessionStore for DirStore {
    fn save(&self, session: SavedSession) {
        if let Err(error) = self.write(&session) {
            let client = session.client();
            // A disk that is full is so for all of them: one line tells.
            if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
                let dir = self.dir.display();
                tracing::error!(%client, "a session cannot be saved in {dir}, nor perhaps others: {error}");
            }
        }
    }

    fn take(&self, client: ClientId, _asked_ms: u64) -> Option<SavedSession> {
        self.read(client).unwrap_or_else(|error| {
            let dir = self.dir.display();
            tracing::error!(%client, "a session cannot be read in {dir}: {error}");
            None
        })
    }
}

#[cfg(test)]
mod tests;
