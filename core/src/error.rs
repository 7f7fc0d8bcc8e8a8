//! What clients are told when something is refused: one closed list.

use core::fmt;

/// Why a request was refused. The list is closed: clients may match on it exhaustively, and codes of later
/// features are already reserved in PROTOCOL.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The text is not JSON.
    BadJson,
    /// JSON, but not an object, or a field that is missing, of the wrong type or too deep.
    BadMessage,
    /// The caller may not.
    Forbidden,
    /// The server's own fault.
    Internal,
    /// The room's name is empty, too long or holds characters that are not allowed.
    InvalidRoom,
    /// The room keeps no messages.
    NoHistory,
    /// There is no such room.
    NoSuchRoom,
    /// The caller is not in the room.
    NotMember,
    /// Too often; `retryAfterMs` says when.
    RateLimited,
    /// The room's name, or the `type` of a payload, belongs to the server.
    Reserved,
    /// The room takes no more members.
    RoomFull,
    /// There is no such session, or it is over.
    StaleSession,
    /// There is no such client.
    TargetNotFound,
    /// Larger than its limit.
    TooLarge,
    /// The caller is in as many rooms as it may be, or the server holds as many as it can.
    TooManyRooms,
    /// A file is not what its sender says it is.
    TransferCorrupt,
    /// A file over a limit, or too many of them.
    TransferLimit,
    /// The other end of a transfer is gone and has not come back.
    TransferLost,
    /// A transfer has stood still for too long.
    TransferTimeout,
    /// A piece of a file that was not asked for.
    TransferUnexpected,
    /// There is no such transfer, or it is none of the caller's.
    TransferUnknown,
    /// No such message type.
    UnknownType,
}

impl ErrorCode {
    /// Every code that the server sends, in alphabetical order.
    pub const ALL: [Self; 22] = [
        Self::BadJson,
        Self::BadMessage,
        Self::Forbidden,
        Self::Internal,
        Self::InvalidRoom,
        Self::NoHistory,
        Self::NoSuchRoom,
        Self::NotMember,
        Self::RateLimited,
        Self::Reserved,
        Self::RoomFull,
        Self::StaleSession,
        Self::TargetNotFound,
        Self::TooLarge,
        Self::TooManyRooms,
        Self::TransferCorrupt,
        Self::TransferLimit,
        Self::TransferLost,
        Self::TransferTimeout,
        Self::TransferUnexpected,
        Self::TransferUnknown,
        Self::UnknownType,
    ];

    /// The code as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::BadMessage => "bad_message",
            Self::Forbidden => "forbidden",
            Self::Internal => "internal",
            Self::InvalidRoom => "invalid_room",
            Self::NoHistory => "no_history",
            Self::NoSuchRoom => "no_such_room",
            Self::NotMember => "not_member",
            Self::RateLimited => "rate_limited",
            Self::Reserved => "reserved",
            Self::RoomFull => "room_full",
            Self::StaleSession => "stale_session",
            Self::TargetNotFound => "target_not_found",
            Self::TooLarge => "too_large",
            Self::TooManyRooms => "too_many_rooms",
            Self::TransferCorrupt => "transfer_corrupt",
            Self::TransferLimit => "transfer_limit",
            Self::TransferLost => "transfer_lost",
            Self::TransferTimeout => "transfer_timeout",
            Self::TransferUnexpected => "transfer_unexpected",
            Self::TransferUnknown => "transfer_unknown",
            Self::UnknownType => "unknown_type",
        }
    }

    /// The inverse of [`as_str`](Self::as_str); `None` for a code that is not known.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
