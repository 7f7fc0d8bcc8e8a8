//! Connections on their way: everything arrives, and nobody is left out.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use roomwire_core::PeerAddr;
use roomwire_core::server::UpgradeRequest;

use super::{Adopted, Dealer, Socket};

fn request() -> UpgradeRequest {
    let host: (&str, &[u8]) = ("host", b"a");
    UpgradeRequest::new("GET", "/chat", [host])
}

#[test]
fn what_was_read_comes_behind_the_request() {
    let (near, _far) = UnixStream::pair().expect("a pair");
    let adopted = Adopted::new(near, PeerAddr::Local, &request(), b"frames").expect("a socket");
    let (_, peer, ahead) = adopted.into_parts();
    assert_eq!(peer, PeerAddr::Local);
    assert_eq!(ahead, b"GET /chat HTTP/1.1\r\nhost: a\r\n\r\nframes");
}

#[test]
fn sockets_of_both_kinds_do_not_block() {
    let (near, mut far) = UnixStream::pair().expect("a pair");
    let adopted = Adopted::new(near, PeerAddr::Local, &request(), b"").expect("a socket");
    let (Socket::Unix(mut near), ..) = adopted.into_parts() else {
        panic!("another kind");
    };
    let nothing = near.read(&mut [0]).expect_err("nothing was sent");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    far.write_all(b"x").expect("sent");
    assert_eq!(near.read(&mut [0; 2]).expect("it is the same socket"), 1);

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let _far = TcpStream::connect(address).expect("a connection");
    let (near, peer) = listener.accept().expect("a connection");
    let adopted = Adopted::new(near, peer, &request(), b"").expect("a socket");
    let (Socket::Tcp(mut near), told, _) = adopted.into_parts() else {
        panic!("another kind");
    };
    assert_eq!(told, PeerAddr::Inet(peer));
    assert!(near.nodelay().expect("an option"));
    let nothing = near.read(&mut [0]).expect_err("nothing was sent");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

#[test]
fn connections_are_dealt_out_evenly() {
    let (dealer, threads) = (Dealer::default(), ["a", "b", "c"]);
    let other = dealer.clone();
    let dealt = (0..3).flat_map(|_| [dealer.next(&threads), other.next(&threads)]);
    let dealt: Vec<_> = dealt.flatten().copied().collect();
    assert_eq!(dealt.concat(), "abcabc");
    assert_eq!(dealer.next::<u8>(&[]), None);
}
