//! Waiting without a runtime: the thread is parked until it is woken.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits until `look` finds something.
pub(super) fn until<T>(mut look: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(found) = look(&mut cx) {
            return found;
        }
        thread::park();
    }
}

/// The same for `patience` at most.
pub(super) fn within<T>(
    patience: Duration,
    mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let began = Instant::now();
    loop {
        if let Poll::Ready(found) = look(&mut cx) {
            return Some(found);
        }
        let left = patience.saturating_sub(began.elapsed());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
