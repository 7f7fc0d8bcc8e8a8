//! A small server for one transfer: asks for what receivers have room for, passes it on, checks the whole. Slow, and
//! strict about what its clients say.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::*;
use crate::message::Named;

/// What is on its way to a client: owned notices.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Accepted,
    /// There is no such transfer any more.
    Unknown,
    Wanted(Range<u64>),
    Completed {
        completed: u32,
        failed: u32,
    },
    EndTaken,
    EndEarly,
    Offered {
        max_window_bytes: u32,
    },
    Chunk(u64, Vec<u8>),
    End(FileHash),
}

/// What is on its way to the server.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Start { secret: bool },
    Chunk(u64, Vec<u8>),
    End(Option<FileHash>),
    Credit(u64, u32),
    Complete,
    Abort,
}

impl Asked {
    pub(super) fn of(request: FileRequest<'_>) -> Self {
        match request {
            FileRequest::Start { secret, .. } => Self::Start {
                secret: secret.is_some(),
            },
            FileRequest::Chunk { offset, data, .. } => Self::Chunk(offset, data.into_owned()),
            FileRequest::End { hash, transfer, .. } => {
                assert_eq!(transfer, Named::Number(TRANSFER));
                Self::End(hash)
            }
            FileRequest::Credit {
                offset,
                window_bytes,
                ..
            } => Self::Credit(offset, window_bytes),
            FileRequest::Complete { .. } => Self::Complete,
            FileRequest::Abort { .. } => Self::Abort,
        }
    }
}

#[derive(Debug)]
struct Copy {
    next: u64,
    limit: u64,
    claimed: u64,
    ended: bool,
}

#[derive(Debug)]
pub(super) struct Relay {
    size: u64,
    pub(super) chunk_bytes: u32,
    request_bytes: u64,
    max_window_bytes: u32,
    started: bool,
    /// The sender is there.
    attached: bool,
    passed: Vec<u8>,
    verified: Option<FileHash>,
    outstanding: VecDeque<Range<u64>>,
    copies: BTreeMap<usize, Copy>,
    completed: u32,
    failed: u32,
    over: bool,
    pub(super) to_sender: VecDeque<Told>,
    pub(super) to_receivers: Vec<VecDeque<Told>>,
}

impl Relay {
    pub(super) fn new(
        size: u64,
        chunk_bytes: u32,
        request_bytes: u32,
        max_window_bytes: u32,
        receivers: usize,
    ) -> Self {
        Self {
            size,
            chunk_bytes,
            request_bytes: request_bytes.into(),
            max_window_bytes,
            started: false,
            attached: false,
            passed: Vec::new(),
            verified: None,
            outstanding: VecDeque::new(),
            copies: BTreeMap::new(),
            completed: 0,
            failed: 0,
            over: false,
            to_sender: VecDeque::new(),
            to_receivers: vec![VecDeque::new(); receivers],
        }
    }

    pub(super) fn sender_says(&mut self, asked: Asked) {
        match asked {
            Asked::Start { secret } => {
                assert_eq!(secret, self.started, "it knows the secret once it was told");
                if self.over {
                    self.to_sender.push_back(Told::Unknown);
                    return;
                }
                self.attached = true;
                self.to_sender.push_back(Told::Accepted);
                if !secret {
                    self.started = true;
                    for receiver in 0..self.to_receivers.len() {
                        self.offer(receiver);
                    }
                }
            }
            Asked::Chunk(offset, data) => self.chunk(offset, &data),
            Asked::End(hash) => {
                let is_all = self.passed.len() as u64 == self.size;
                let told = if is_all {
                    let passed = sha256(&self.passed);
                    assert!(hash.is_none_or(|hash| hash == passed), "the sender's hash");
                    self.verified = Some(passed);
                    Told::EndTaken
                } else {
                    Told::EndEarly
                };
                self.to_sender.push_back(told);
            }
            Asked::Credit(..) | Asked::Complete | Asked::Abort => panic!("{asked:?}"),
        }
        self.go_on();
    }

    fn chunk(&mut self, offset: u64, data: &[u8]) {
        assert!(data.len() <= self.chunk_bytes as usize && !data.is_empty());
        let end = offset + data.len() as u64;
        let wanted = self.outstanding.front_mut().expect("it was asked for");
        assert_eq!(wanted.start, offset);
        assert!(end <= wanted.end);
        wanted.start = end;
        if wanted.is_empty() {
            self.outstanding.pop_front();
        }
        let passed = self.passed.len() as u64;
        assert!(offset <= passed, "nothing is skipped");
        if end > passed {
            let new = data.len() - (end - passed) as usize;
            self.passed.extend_from_slice(&data[new..]);
        }
        for (&receiver, copy) in &mut self.copies {
            if copy.next == offset && copy.limit >= end {
                copy.next = end;
                self.to_receivers[receiver].push_back(Told::Chunk(offset, data.to_vec()));
            }
        }
    }

    pub(super) fn receiver_says(&mut self, receiver: usize, asked: Asked) {
        match asked {
            Asked::Credit(offset, window) => {
                let passed = self.passed.len() as u64;
                let window = u64::from(window.min(self.max_window_bytes));
                let copy = self.copies.entry(receiver).or_insert_with(|| Copy {
                    next: offset.min(passed),
                    limit: 0,
                    claimed: offset,
                    ended: false,
                });
                assert!(
                    offset <= copy.next.max(copy.claimed),
                    "more than was passed"
                );
                let offset = offset.min(copy.next);
                copy.limit = copy.limit.max((offset + window).min(self.size));
            }
            Asked::Complete => {
                let copy = self.copies.remove(&receiver).expect("it has accepted");
                assert!(copy.ended);
                self.completed += 1;
            }
            Asked::Abort => {
                self.copies.remove(&receiver).expect("it has accepted");
                self.failed += 1;
            }
            other => panic!("{other:?}"),
        }
        self.go_on();
    }

    fn offer(&mut self, receiver: usize) {
        let max_window_bytes = self.max_window_bytes;
        let offered = Told::Offered { max_window_bytes };
        self.to_receivers[receiver].push_back(offered);
    }

    pub(super) fn sender_lost(&mut self) {
        self.attached = false;
        self.outstanding.clear();
        self.to_sender.clear();
    }

    /// The receiver is gone, and back on another connection.
    pub(super) fn receiver_lost(&mut self, receiver: usize) {
        self.to_receivers[receiver].clear();
        if self.copies.remove(&receiver).is_some() {
            self.failed += 1;
        }
        if self.started && !self.over {
            self.offer(receiver);
        }
    }

    fn go_on(&mut self) {
        if let Some(hash) = self.verified {
            for (&receiver, copy) in &mut self.copies {
                if copy.next == self.size && !copy.ended {
                    copy.ended = true;
                    self.to_receivers[receiver].push_back(Told::End(hash));
                }
            }
        }
        let is_done = self.completed == self.to_receivers.len() as u32;
        if self.verified.is_some() && is_done && !self.over {
            self.over = true;
            let completed = Told::Completed {
                completed: self.completed,
                failed: self.failed,
            };
            self.to_sender.extend(self.attached.then_some(completed));
        }
        if !self.attached || self.over {
            return;
        }
        for copy in self.copies.values() {
            if self.outstanding.len() >= 4 {
                return;
            }
            let is_asked = |piece: &Range<u64>| piece.contains(&copy.next);
            if copy.next >= copy.limit || self.outstanding.iter().any(is_asked) {
                continue;
            }
            let piece = copy.next..copy.limit.min(copy.next + self.request_bytes);
            self.outstanding.push_back(piece.clone());
            self.to_sender.push_back(Told::Wanted(piece));
        }
    }
}
