//! Who says whether a file that has passed is the one that its sender meant: its hash, or a recording that has none of
//! what was in the file.

use std::collections::BTreeSet;

use super::super::Server;

/// What is known of files besides their hashes.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// How often a sender has said that this was everything.
    count: u64,
    source: Source,
}

#[derive(Debug, Default)]
enum Source {
    /// The hashes tell.
    #[default]
    Hashes,
    /// They do, and which files were wrong is noted until somebody asks.
    Noted(Vec<u64>),
    /// Hashes tell nothing: all files are right but these.
    Told(BTreeSet<u64>),
}

impl Verdicts {
    /// A sender says that this was everything: whether it is right, if that is known.
    pub(super) fn ask(&mut self) -> Option<bool> {
        self.count += 1;
        match &mut self.source {
            Source::Told(wrong) => Some(!wrong.remove(&self.count)),
            Source::Hashes | Source::Noted(_) => None,
        }
    }

    /// What was asked about last is wrong.
    pub(super) fn note_wrong(&mut self) {
        if let Source::Noted(wrong) = &mut self.source {
            wrong.push(self.count);
        }
    }
}

impl Server {
    /// From now on [`wrong_files`](Self::wrong_files) tells.
    pub(crate) fn note_wrong_files(&mut self) {
        self.files.verdicts.source = Source::Noted(Vec::new());
    }

    /// Which files were found to be wrong since the last call, counting from 1 how often a sender has said that this
    /// was everything.
    pub(crate) fn wrong_files(&mut self) -> Vec<u64> {
        match &mut self.files.verdicts.source {
            Source::Noted(wrong) => core::mem::take(wrong),
            Source::Hashes | Source::Told(_) => Vec::new(),
        }
    }

    /// From now on files are right whatever they hash to, unless [`file_is_wrong`](Self::file_is_wrong) has said so.
    pub(crate) fn take_files_for_right(&mut self) {
        self.files.verdicts.source = Source::Told(BTreeSet::new());
    }

    /// A file will be found to be wrong, counted as by [`wrong_files`](Self::wrong_files).
    pub(crate) fn file_is_wrong(&mut self, number: u64) {
        if let Source::Told(wrong) = &mut self.files.verdicts.source {
            wrong.insert(number);
        }
    }
}
