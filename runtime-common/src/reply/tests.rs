use super::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<T>(answer: &mut Answer<T>, count: &Arc<Count>) -> Poll<Option<T>> {
    let waker = Waker::from(Arc::clone(count));
    Pin::new(answer).poll(&mut Context::from_waker(&waker))
}

#[test]
fn an_answer_wakes_who_waits_and_is_there_once() {
    let count = Arc::new(Count::default());
    let (give, mut answer) = one();
    assert_eq!(poll(&mut answer, &count), Poll::Pending);
    give.give(7);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(&mut answer, &count), Poll::Ready(Some(7)));
    assert_eq!(poll(&mut answer, &count), Poll::Ready(None));
}

#[test]
fn who_goes_without_an_answer_says_so() {
    let count = Arc::new(Count::default());
    let (give, mut answer) = one::<u32>();
    assert_eq!(poll(&mut answer, &count), Poll::Pending);
    drop(give);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(&mut answer, &count), Poll::Ready(None));
    // Nobody has to wait.
    let (give, answer) = one();
    drop(answer);
    give.give(7);
}
