use std::pin::pin;
use std::task::{Context, Waker};

use roomwire_core::Turn;

use super::{Line, Next, Reads};

fn is_called(future: &mut std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn the_first_are_called_first() {
    let line = Line::default();
    let (mut one, mut two, mut three) = (pin!(line.wait()), pin!(line.wait()), pin!(line.wait()));
    assert!(line.is_empty());
    // In the order in which they come to stand there.
    assert!(!is_called(&mut two) && !is_called(&mut one) && !is_called(&mut three));
    line.call(1);
    // Whoever looks too soon stands where it stood.
    assert!(!is_called(&mut one) && is_called(&mut two) && !is_called(&mut three));
    line.call(10);
    assert!(is_called(&mut one) && is_called(&mut three));
    assert!(line.is_empty());
}

#[test]
fn who_goes_away_is_called_in_vain() {
    let line = Line::default();
    let mut two = pin!(line.wait());
    {
        let mut one = pin!(line.wait());
        assert!(!is_called(&mut one));
    }
    assert!(!is_called(&mut two));
    line.call(1);
    assert!(!is_called(&mut two));
    line.call(1);
    assert!(is_called(&mut two));
}

#[test]
fn a_call_is_for_those_who_stand_there() {
    let line = Line::default();
    line.call(5);
    let mut late = pin!(line.wait());
    assert!(!is_called(&mut late));
    line.call(1);
    assert!(is_called(&mut late));
}

#[test]
fn a_socket_that_fills_the_buffer_is_busy() {
    let mut reads = Reads::FRESH;
    assert_eq!(reads.count(false, Turn::Open), None);
    assert_eq!(reads.count(true, Turn::Open), Some(Next::Line));
    let mut reads = Reads::BUSY;
    for _ in 0..3 {
        assert_eq!(reads.count(true, Turn::Open), None);
    }
    assert_eq!(reads.count(true, Turn::Open), Some(Next::Line));
}

#[test]
fn many_short_reads_end_too() {
    let mut reads = Reads::FRESH;
    for _ in 0..3 {
        assert_eq!(reads.count(false, Turn::Open), None);
    }
    assert_eq!(reads.count(false, Turn::Open), Some(Next::Line));
}

#[test]
fn a_full_machine_is_polled_first() {
    assert_eq!({ Reads::BUSY }.count(false, Turn::Full), Some(Next::Yield));
    assert_eq!({ Reads::BUSY }.count(true, Turn::Full), Some(Next::Line));
}
