//! Recordings on disk: a thread of their own writes them, so that the server does not wait for the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use roomwire_core::ValidConfig;
use roomwire_core::replay::{Ending, Options, Recorder, Sink};

use crate::error::RunError;
use crate::settings::RecordSettings;

/// Pieces on their way to the disk, each some dozens of KiB: when so many wait, the disk is too slow.
const WAITING: usize = 128;

/// A recording that can be made: its file is there and empty.
#[derive(Debug)]
pub struct Recording {
    options: Options,
    sink: FileSink,
    thread: JoinHandle<()>,
}

impl Recording {
    /// Creates the file, readable for its owner alone. `None` if none is asked for.
    ///
    /// # Errors
    /// [`RunError::Io`] when the file is there already, which may be the recording of an earlier run, or cannot be
    /// created.
    pub fn create(settings: &RecordSettings) -> Result<Option<Self>, RunError> {
        let Some(path) = &settings.file else {
            return Ok(None);
        };
        let mut open = OpenOptions::new();
        let file = open.write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| RunError::Io {
            doing: "creating the recording",
            source: explain(path, &error),
        })?;
        let (sender, receiver) = sync_channel(WAITING);
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("recording".to_owned())
            .spawn(move || write(&file, &receiver, &writer))
            .map_err(RunError::io("starting the thread of the recording"))?;
        Ok(Some(Self {
            options: Options {
                masked: !settings.payloads,
                max_bytes: settings.max_bytes,
            },
            sink: FileSink { sender, shared },
            thread,
        }))
    }

    /// Lends `serve` a server that is recorded; returns once `serve` has dropped it and all is written.
    pub fn run<T>(
        self,
        config: ValidConfig,
        seed: [u8; 32],
        serve: impl FnOnce(Recorder<FileSink>) -> T,
    ) -> T {
        let outcome = serve(Recorder::new(config, seed, self.options, self.sink));
        // A panic there was told as it happened.
        let _ = self.thread.join();
        outcome
    }
}

/// The error with the file's name, and what to do.
fn explain(path: &Path, error: &io::Error) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::AlreadyExists => {
            "; an earlier recording is not written over: move it away, or name another file"
        }
        _ => "",
    };
    io::Error::new(error.kind(), format!("{}: {error}{advice}", path.display()))
}

/// The end of a recording that a server writes to. Never waits.
#[derive(Debug)]
pub struct FileSink {
    sender: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    failed: AtomicBool,
}

impl Sink for FileSink {
    fn take(&mut self, bytes: &[u8]) -> bool {
        if self.shared.failed.load(Ordering::Relaxed) {
            return false;
        }
        let before = self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let sent = self.sender.try_send(bytes.to_vec());
        // One place is kept for the end.
        sent.is_ok() && before + 2 < WAITING
    }

    fn end(&mut self, bytes: &[u8], ending: Ending) {
        let failed = self.shared.failed.load(Ordering::Relaxed);
        let _ = self.take(bytes);
        match ending {
            Ending::Full => tracing::warn!(
                "the recording is as large as it may be (record.max_bytes) and ends; serving goes on"
            ),
            Ending::Refused if !failed => tracing::warn!(
                "the recording ends, as the disk does not keep up with it; serving goes on"
            ),
            _ => {}
        }
    }
}

/// Runs on a thread of its own until the sink is gone.
fn write(mut file: &File, pieces: &Receiver<Vec<u8>>, shared: &Shared) {
    for piece in pieces {
        if let Err(error) = file.write_all(&piece) {
            shared.failed.store(true, Ordering::Relaxed);
            tracing::warn!(%error, "the recording ends, as it cannot be written; serving goes on");
            return;
        }
        shared.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
