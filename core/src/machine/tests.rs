use super::*;
use crate::config::SlowReader;
use crate::session::outbox::{Outboxes, Range};

#[test]
fn a_slice_is_lent_once() {
    assert_eq!(Unsent::EMPTY.count(), 0);
    assert_eq!(Unsent::slice(&[]).count(), 0);
    let mut unsent = Unsent::slice(b"abc");
    assert_eq!(unsent.next(), Some(&b"abc"[..]));
    assert_eq!(unsent.next(), None);
}

#[test]
fn a_vectored_write_takes_as_many_slices_as_it_has_places() {
    let mut outboxes = Outboxes::new(1_000, 10);
    outboxes.open(0);
    for byte in 1..=3 {
        let buffer = outboxes.buffers.open(0);
        let (start, end) = outboxes.buffers.append(buffer, |out| out.extend([byte; 2]));
        outboxes.queue(0, Range { buffer, start, end }, 1, SlowReader::Close);
    }
    outboxes.sent(0, 1);
    for places in 0..5 {
        let mut slices = vec![IoSlice::new(b"untouched"); places];
        let filled = Unsent::queue(outboxes.unsent(0), false).fill(&mut slices);
        assert_eq!(filled, places.min(3));
        let bytes: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
        assert_eq!(bytes, [1, 2, 2, 3, 3][..bytes.len()]);
        assert!(
            slices[filled..]
                .iter()
                .all(|slice| &**slice == b"untouched")
        );
    }
    assert_eq!(
        Unsent::queue(outboxes.unsent(9), false).count(),
        0,
        "nobody's"
    );
}

#[test]
fn a_peer_is_shown_as_its_address() {
    let inet = PeerAddr::from(SocketAddr::from(([192, 0, 2, 1], 80)));
    assert_eq!(inet.to_string(), "192.0.2.1:80");
    assert_eq!(PeerAddr::Local.to_string(), "local");
}
