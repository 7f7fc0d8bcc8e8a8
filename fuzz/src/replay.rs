//! Recordings that anyone may have written, or a server whatever goes into it.
//!
//! The bytes are a recording, fed in pieces, or what is recorded first. Promises: reading never panics, comes to an
//! end, gives the same however it is cut, and says where a file is damaged; what was recorded is read as it was.

mod written;

use std::cell::RefCell;
use std::rc::Rc;

use roomwire_core::replay::{
    Ending, Options, Progress, Recorder, ReplayError, Replayer, Sink, What,
};
use roomwire_core::{Config, Machine as _, Output};

use crate::input::{Choices, Cuts};

/// Two bytes of cuts, whether a good header comes first, then the recording; or what goes into a server.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let cuts = Cuts::choose(&mut choices);
    let mut file = match choices.byte() {
        WRITTEN => return written::check(cuts, &mut choices),
        choice if choice & 1 == 1 => header(),
        _ => Vec::new(),
    };
    file.extend_from_slice(choices.rest());
    let whole = play(&file, [file.len()], drop);
    let pieces = play(&file, cuts.ends(file.len()), drop);
    assert_eq!(whole, pieces, "cutting makes a difference");
    if let (_, Err(ReplayError::Malformed { offset, .. } | ReplayError::Truncated { offset, .. })) =
        whole
    {
        assert!(offset <= file.len() as u64);
    }
}

/// Where a recording would come that is written first.
const WRITTEN: u8 = 2;

/// How many steps it took, and how it ended.
fn play(
    file: &[u8],
    ends: impl IntoIterator<Item = usize>,
    mut each: impl FnMut(What),
) -> (u64, Result<Ending, ReplayError>) {
    let mut replayer = Replayer::new();
    let mut fed = 0;
    let mut ends = ends.into_iter();
    let mut steps = 0;
    loop {
        match replayer.step() {
            Ok(Progress::Step(step)) => {
                steps += 1;
                each(step.what);
            }
            Ok(Progress::End(ending)) => return (steps, Ok(ending)),
            Err(error) => {
                assert_eq!(replayer.step(), Err(error.clone()), "the last word");
                return (steps, Err(error));
            }
            Ok(Progress::NeedMore) => match ends.next() {
                Some(end) => {
                    replayer.feed(&file[fed..end]);
                    fed = end;
                }
                None => replayer.finish(),
            },
        }
    }
}

/// A recording's start, up to its first record.
fn header() -> Vec<u8> {
    let config = Config::default().validate().expect("valid");
    let tape = Tape::default();
    let mut recorder = Recorder::new(config, [7; 32], Options::default(), tape.clone());
    let mut polls = 0;
    while !matches!(recorder.poll(), Output::Idle { .. }) {
        polls += 1;
    }
    assert_eq!(polls, 0);
    drop(recorder);
    let mut bytes = tape.bytes.take();
    bytes.truncate(bytes.len() - END_BYTES);
    bytes
}

/// A tag, the number of polls, the hash, the ending.
const END_BYTES: usize = 1 + 1 + 8 + 1;

/// Keeps a recording.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape {
    bytes: Rc<RefCell<Vec<u8>>>,
}

impl Tape {
    /// A finished recording can be done again.
    pub(crate) fn check(&self) {
        let bytes = self.bytes.borrow();
        let (_, outcome) = play(&bytes, [bytes.len()], drop);
        assert_eq!(outcome, Ok(Ending::Closed));
    }
}

impl Sink for Tape {
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.bytes.borrow_mut().extend_from_slice(bytes);
        true
    }

    fn end(&mut self, bytes: &[u8], _: Ending) {
        self.take(bytes);
    }
}
