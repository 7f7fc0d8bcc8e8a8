//! What shards tell each other about files: what clients say and hear, owned.

use std::sync::Arc;

use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{FileHash, FileNotice, TransferId};

/// A file that somebody may have.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) transfer: TransferId,
    pub(crate) from: ClientId,
    /// `None`: it is for one client alone.
    pub(crate) room: Option<Box<str>>,
    pub(crate) file_name: Box<str>,
    pub(crate) size: u64,
    pub(crate) mime_type: Box<str>,
    pub(crate) hash: Option<FileHash>,
    pub(crate) max_window_bytes: u32,
}

impl Offer {
    pub(crate) fn notice(&self) -> FileNotice<'_> {
        FileNotice::Offered {
            transfer: self.transfer,
            from: self.from,
            room: self.room.as_deref(),
            file_name: &self.file_name,
            size: self.size,
            mime_type: &self.mime_type,
            hash: self.hash,
            max_window_bytes: self.max_window_bytes,
        }
    }

    /// Memory of it.
    pub(crate) fn bytes(&self) -> usize {
        let room = self.room.as_deref().map_or(0, str::len);
        size_of::<Self>() + room + self.file_name.len() + self.mime_type.len()
    }
}

/// What an end of a transfer asks of its home.
#[derive(Clone, Debug)]
pub(crate) enum FileAsked {
    /// To go on as the sender.
    Resume {
        secret: Box<str>,
    },
    Chunk {
        offset: u64,
        data: Arc<[u8]>,
    },
    End {
        size: Option<u64>,
        hash: Option<FileHash>,
    },
    Abort {
        reason: Box<str>,
    },
    Credit {
        offset: u64,
        window_bytes: u32,
        /// The client's rooms, where it has not accepted the file yet.
        rooms: Option<Vec<Box<str>>>,
    },
    Complete,
    /// The client is gone, or has nothing more to do with it.
    Gone,
    /// The sender is in this room no more.
    Left {
        room: Arc<str>,
    },
}

impl FileAsked {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Resume { secret: text } | Self::Abort { reason: text } => text.len(),
            Self::Left { room } => room.len(),
            Self::Chunk { data, .. } => data.len(),
            Self::Credit { rooms, .. } => {
                let rooms = rooms.iter().flatten();
                rooms.map(|room| room.len() + size_of::<Box<str>>()).sum()
            }
            Self::End { .. } | Self::Complete | Self::Gone => 0,
        }
    }
}

/// What the home tells an end.
#[derive(Clone, Debug)]
pub(crate) enum FileTold {
    Offered(Arc<Offer>),
    Wanted {
        offset: u64,
        length_bytes: u32,
    },
    Progress {
        acknowledged: u64,
        receivers: u32,
        completed: u32,
        failed: u32,
    },
    Completed {
        completed: u32,
        failed: u32,
    },
    Chunk {
        offset: u64,
        data: Arc<[u8]>,
    },
    End {
        size: u64,
        hash: FileHash,
    },
    Aborted {
        reason: Box<str>,
    },
    Failed {
        code: ErrorCode,
        message: &'static str,
    },
}

impl FileTold {
    pub(crate) fn notice(&self, transfer: TransferId) -> FileNotice<'_> {
        match *self {
            Self::Offered(ref offer) => offer.notice(),
            Self::Wanted {
                offset,
                length_bytes,
            } => FileNotice::Wanted {
                transfer,
                offset,
                length_bytes,
            },
            Self::Progress {
                acknowledged,
                receivers,
                completed,
                failed,
            } => FileNotice::Progress {
                transfer,
                acknowledged,
                receivers,
                completed,
                failed,
            },
            Self::Completed { completed, failed } => FileNotice::Completed {
                transfer,
                completed,
                failed,
            },
            Self::Chunk { offset, ref data } => FileNotice::Chunk {
                transfer,
                offset,
                data,
            },
            Self::End { size, hash } => FileNotice::End {
                transfer,
                size,
                hash,
            },
            Self::Aborted { ref reason } => FileNotice::Aborted { transfer, reason },
            Self::Failed { code, message } => FileNotice::Failed {
                transfer,
                code,
                message,
            },
        }
    }

    /// Whether a copy, or the whole transfer, is over with it.
    pub(crate) const fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Completed { .. } | Self::Aborted { .. } | Self::Failed { .. }
        )
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Chunk { data, .. } => data.len(),
            Self::Aborted { reason } => reason.len(),
            _ => 0,
        }
    }
}
