//! Where files come to lie. What a sender calls a file is never a path; nothing that is there is overwritten; what is
//! not whole yet is in a file of its own, beside which stands what it is a part of.

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use roomwire_core::client::files::Offer;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// As many files of one name as there can be.
const MAX_SAME_NAME: u32 = 10_000;
/// The longest name, so that with what is put around it no file system finds it too long.
const MAX_NAME_BYTES: usize = 200;
/// The largest state file that is read.
const MAX_STATE_BYTES: u64 = 64 * 1024;

/// A directory that files are put into.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Goes on with what others have left.
    resumes: bool,
    /// What this process has left.
    ours: Vec<PathBuf>,
}

/// A file that is not whole yet. Locked for as long as this exists, so that no two processes write it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: File,
    /// How much of it is there.
    pub(super) have: u64,
    /// What it will be called, unless there is something that is called that.
    name: String,
    path: PathBuf,
    state: PathBuf,
}

/// What a part is a part of. The length of the part says how much of it there is.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct State {
    transfer: u64,
    from: String,
    name: String,
    size: u64,
    /// In hexadecimal digits, if the sender has told it.
    sha256: Option<String>,
}

impl Folder {
    pub(super) fn open(path: &Path, resumes: bool) -> Result<Self, String> {
        let shown = path.display();
        match fs::metadata(path) {
            Ok(about) if about.is_dir() => {}
            Ok(_) => {
                return Err(format!(
                    "--into {shown}: this is no directory: name one that exists"
                ));
            }
            Err(error) => {
                return Err(format!(
                    "--into {shown}: {error}: name a directory that exists"
                ));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            resumes,
            ours: Vec::new(),
        })
    }

    /// The part of what is offered that is there already, or a new one.
    pub(super) fn part(&mut self, offer: &Offer) -> io::Result<Part> {
        let name = safe_name(&offer.file_name);
        let state = State {
            transfer: offer.transfer.to_bits(),
            from: offer.from.to_string(),
            name: offer.file_name.to_string(),
            size: offer.size,
            sha256: offer.hash.map(|hash| hex(&hash)),
        };
        for count in 0..MAX_SAME_NAME {
            let file = format!(".{}.part", numbered(&name, count));
            let path = self.path.join(&file);
            let state_path = self.path.join(format!("{file}.json"));
            let may_go_on = self.resumes || self.ours.contains(&path);
            let part = match create(&path) {
                Ok(file) => Some((file, 0)),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Err(_) if may_go_on && is_same(&state_path, &state) => take_up(&path, offer.size)?,
                Err(_) => None,
            };
            if let Some((file, have)) = part {
                write_state(&state_path, &state)?;
                self.ours.push(path.clone());
                return Ok(Part {
                    file,
                    have,
                    name,
                    path,
                    state: state_path,
                });
            }
        }
        Err(too_many(&name))
    }

    /// Puts a whole file in its place: where that is.
    pub(super) fn keep(&mut self, part: Part) -> io::Result<PathBuf> {
        for count in 0..MAX_SAME_NAME {
            let path = self.path.join(numbered(&part.name, count));
            // First an empty file, which fails if there is anything, then the whole in its place.
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            fs::rename(&part.path, &path).inspect_err(|_| {
                let _ = fs::remove_file(&path);
            })?;
            self.forget(&part);
            return Ok(path);
        }
        Err(too_many(&part.name))
    }

    /// Removes a part that is worth nothing.
    pub(super) fn discard(&mut self, part: Part) {
        let _ = fs::remove_file(&part.path);
        self.forget(&part);
    }

    fn forget(&mut self, part: &Part) {
        let _ = fs::remove_file(&part.state);
        self.ours.retain(|path| *path != part.path);
    }
}

impl Part {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(path)?;
    lock(&file)?;
    Ok(file)
}

/// A part that is there, with its length; `None` if it is not to be had.
fn take_up(path: &Path, size: u64) -> io::Result<Option<(File, u64)>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if lock(&file).is_err() {
        return Ok(None);
    }
    let have = file.metadata()?.len();
    Ok((have <= size).then_some((file, have)))
}

fn lock(file: &File) -> io::Result<()> {
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

/// Whether what stands in a state file is about the same file as `wanted`. Where one of the two has no hash, name and
/// size decide, and the hash at the end.
fn is_same(path: &Path, wanted: &State) -> bool {
    let is_small = fs::metadata(path).is_ok_and(|about| about.len() <= MAX_STATE_BYTES);
    let Some(text) = fs::read(path).ok().filter(|_| is_small) else {
        return false;
    };
    let Ok(found) = serde_json::from_slice::<State>(&text) else {
        return false;
    };
    let is_other_hash = match (&found.sha256, &wanted.sha256) {
        (Some(found), Some(wanted)) => found != wanted,
        _ => false,
    };
    found.name == wanted.name && found.size == wanted.size && !is_other_hash
}

/// A state that was half written would be none: it is written elsewhere first.
fn write_state(path: &Path, state: &State) -> io::Result<()> {
    let text = serde_json::to_string(state)?;
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

/// What the file is called here: the last part of what the sender calls it, without what is not visible, nor hidden,
/// and not too long.
pub(super) fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_visible = |c: &char| !c.is_control() && !is_formatting(*c);
    let visible: String = last.chars().filter(is_visible).collect();
    let trimmed = visible.trim().trim_end_matches('.').trim_end();
    let bare = trimmed.trim_start_matches(['.', ' ']);
    if bare.is_empty() {
        return "file".to_owned();
    }
    let (stem, extension) = split(bare);
    let extension = cut(extension, MAX_NAME_BYTES / 4);
    let stem = cut(stem, MAX_NAME_BYTES - extension.len());
    format!("{stem}{extension}")
}

/// What changes how the rest is shown: a name must look like what it is.
const fn is_formatting(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The name for the `count`-th file that would be called `name`.
fn numbered(name: &str, count: u32) -> String {
    let (stem, extension) = split(name);
    match count {
        0 => name.to_owned(),
        count => format!("{stem} ({count}){extension}"),
    }
}

/// The extension with its dot, if there is one.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    }
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn too_many(name: &str) -> io::Error {
    io::Error::other(format!("there are too many files called {name:?}"))
}
