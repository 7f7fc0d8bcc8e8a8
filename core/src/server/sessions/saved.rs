//! A session on its way to another server: as bytes that only servers with the same key can make.

use core::fmt;

use sha2::{Digest, Sha256};

use super::table::Sessions;
use crate::cluster::message::Luggage;
use crate::config;
use crate::id::ClientId;
use crate::replay::{Said, mask_said};
use crate::server::mail::Mail;
use crate::wire::{Fault, Source, put_bytes, put_number};

/// What is left of a session for another server of the same [`key`](config::Sessions::key): the client's metadata, and
/// what was sent to it alone, or answered. Its rooms are not part of it: those of another server are others.
///
/// It is sealed, not secret: who keeps it can read it, but a server that it is given to takes it only as it was made.
#[derive(Clone, PartialEq, Eq)]
pub struct SavedSession {
    client: ClientId,
    until_ms: u64,
    /// Everything, with the seal at the end.
    bytes: Box<[u8]>,
    /// Whether the seal is right, where that has been found out before: what is masked has none.
    pub(crate) checked: Option<bool>,
}

/// Bytes that are no session, or none that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSession;

impl fmt::Display for NoSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "these bytes are no session, or one of another version of roomwire: forget them",
        )
    }
}

impl core::error::Error for NoSession {}

/// What the first byte says.
const VERSION: u8 = 1;
/// The version, the client and until when it can be taken up.
const HEAD: usize = 1 + ClientId::BYTES + 8;
const SEAL: usize = 32;

impl SavedSession {
    /// Whose it is.
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// From then on it is over, in ms since 1970 by the clock of the server that has let it go: one that it is given to takes
    /// no notice of it. Where clocks differ by more than `sessions.window_ms`, no session arrives in time.
    pub const fn until_ms(&self) -> u64 {
        self.until_ms
    }

    /// As a store keeps it: the limits of mail ([`Sessions`](config::Sessions)) bound how long it is. O(1).
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The inverse of [`as_bytes`](Self::as_bytes). Whether it has been changed meanwhile the server finds out that it is
    /// given to. O(length).
    ///
    /// # Errors
    /// [`NoSession`]: it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoSession> {
        let mut head = Source::new(bytes);
        let read = |head: &mut Source<'_>| -> Result<(u8, ClientId, u64), Fault> {
            let version = head.byte()?;
            let client = ClientId::from_bytes(&head.array()?);
            Ok((version, client, u64::from_be_bytes(head.array()?)))
        };
        match read(&mut head) {
            Ok((VERSION, client, until_ms)) if head.left() >= SEAL => Ok(Self {
                client,
                until_ms,
                bytes: bytes.into(),
                checked: None,
            }),
            _ => Err(NoSession),
        }
    }

    /// Of a client that has had so many connections but the first.
    pub(in crate::server) fn seal(
        sessions: &Sessions,
        (client, lives): (ClientId, u32),
        until_ms: u64,
        luggage: &Luggage,
    ) -> Self {
        let mut session = Self::unsealed((client, lives), until_ms, luggage);
        let end = session.bytes.len() - SEAL;
        let (body, seal) = session.bytes.split_at_mut(end);
        seal.copy_from_slice(&sessions.seal_of(body));
        session
    }

    fn unsealed((client, lives): (ClientId, u32), until_ms: u64, luggage: &Luggage) -> Self {
        let mut bytes = Vec::with_capacity(HEAD + luggage.heap_bytes() + SEAL);
        bytes.push(VERSION);
        bytes.extend_from_slice(&client.to_bytes());
        bytes.extend_from_slice(&until_ms.to_be_bytes());
        put_number(&mut bytes, u64::from(lives));
        put_bytes(
            &mut bytes,
            luggage.metadata.as_deref().unwrap_or_default().as_bytes(),
        );
        if let Some(mail) = &luggage.mail {
            mail.write(&mut bytes);
        }
        bytes.extend_from_slice(&[0; SEAL]);
        Self {
            client,
            until_ms,
            bytes: bytes.into(),
            checked: None,
        }
    }

    /// Whether a server with the same key has made it.
    pub(in crate::server) fn is_sealed(&self, sessions: &Sessions) -> bool {
        self.checked.unwrap_or_else(|| {
            let end = self.bytes.len() - SEAL;
            let (body, seal) = self.bytes.split_at(end);
            let bytes = sessions.seal_of(body).into_iter().zip(seal);
            bytes.fold(0, |wrong, (a, b)| wrong | (a ^ b)) == 0
        })
    }

    /// How many connections it has had but the first, and what goes with it, as far as the limits let it. O(length).
    pub(in crate::server) fn open(
        &self,
        limits: (&config::Sessions, &config::MessageIds),
    ) -> Result<(u32, Luggage), NoSession> {
        let end = self.bytes.len() - SEAL;
        let mut source = Source::new(self.bytes.get(HEAD..end).unwrap_or_default());
        let read = |source: &mut Source<'_>| -> Result<(u32, Luggage), Fault> {
            let lives = source.small("a count is out of bounds")?;
            let metadata = source.text()?;
            let mail = match source.left() {
                0 => None,
                _ => Some(Box::new(Mail::read(source, limits)?)),
            };
            let metadata = (!metadata.is_empty()).then(|| metadata.into());
            Ok((lives, Luggage { metadata, mail }))
        };
        let opened = read(&mut source).map_err(|_| NoSession)?;
        if source.left() > 0 {
            return Err(NoSession);
        }
        Ok(opened)
    }

    /// The same without what was said: of the same length, to the same effect. `checked` says whether its seal was right.
    pub(crate) fn masked(&self, checked: bool) -> Self {
        let all = config::Sessions {
            mail_messages: u32::MAX,
            mail_bytes: usize::MAX,
            ..config::Sessions::default()
        };
        let ids = config::MessageIds {
            max_per_client: u32::MAX,
            ..config::MessageIds::default()
        };
        let mut masked = match self.open((&all, &ids)) {
            Ok((lives, mut luggage)) => {
                let mask = |text: Box<str>| mask_said(&text, Said::Metadata).into();
                luggage.metadata = luggage.metadata.map(mask);
                if let Some(mail) = &mut luggage.mail {
                    mail.mask();
                }
                Self::unsealed((self.client, lives), self.until_ms, &luggage)
            }
            // Nothing in it is taken: nothing of it needs to be told.
            Err(NoSession) => {
                let mut bytes = self.bytes.clone();
                let body = bytes.get_mut(HEAD..).unwrap_or_default();
                body.fill(u8::MAX);
                Self {
                    bytes,
                    ..self.clone()
                }
            }
        };
        masked.checked = Some(checked);
        masked
    }
}

impl Sessions {
    /// What only servers with the same key can make of some bytes. The inner hash is hidden by the outer one: nothing can
    /// be appended.
    fn seal_of(&self, bytes: &[u8]) -> [u8; SEAL] {
        let keyed = |label: &[u8], bytes: &[u8]| -> [u8; SEAL] {
            let mut hash = Sha256::new();
            hash.update(label);
            hash.update(self.key);
            hash.update(bytes);
            hash.finalize().into()
        };
        keyed(b"seal", &keyed(b"body", bytes))
    }
}

impl fmt::Debug for SavedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedSession")
            .field("client", &self.client)
            .field("until_ms", &self.until_ms)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
