//! Tests of listening sockets.

use std::net::{Ipv6Addr, TcpStream};

use super::*;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn port_0_takes_a_free_port() {
    let listener = bind(loopback(0)).expect("bind");
    let address = listener.local_addr().expect("address");
    assert_ne!(address.port(), 0);
    TcpStream::connect(address).expect("connect");
}

#[test]
fn accepting_does_not_block() {
    let listener = bind(loopback(0)).expect("bind");
    let error = listener.accept().expect_err("nobody connected");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_taken_address_is_named_with_what_to_do() {
    let listener = bind(loopback(0)).expect("bind");
    let address = listener.local_addr().expect("address");
    let error = bind(address).expect_err("taken").to_string();
    assert!(error.starts_with(&format!("cannot listen on {address}: ")));
    assert!(error.ends_with("(0 takes a free one)"), "{error}");
}

#[test]
fn a_foreign_address_is_named_with_what_to_do() {
    // TEST-NET-1 (RFC 5737): nobody has it.
    let error = bind(SocketAddr::from(([192, 0, 2, 1], 0))).expect_err("foreign");
    assert!(error.to_string().contains("does not have that address"));
}

#[test]
fn an_address_can_be_bound_again_at_once() {
    let listener = bind(loopback(0)).expect("bind");
    let address = listener.local_addr().expect("address");
    let client = TcpStream::connect(address).expect("connect");
    let accepted = (0..1_000).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        listener.accept().ok()
    });
    assert!(accepted.is_some());
    // The server's side closes first and stays in TIME_WAIT.
    drop(accepted);
    drop(client);
    drop(listener);
    bind(address).expect("bind again");
}

#[test]
fn an_ipv6_listener_takes_no_mapped_ipv4_addresses() {
    let Ok(listener) = bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))) else {
        // A machine without IPv6: nothing to take.
        return;
    };
    assert!(socket2::SockRef::from(&listener).only_v6().expect("option"));
}

#[test]
fn what_is_accepted_sends_at_once() {
    let listener = bind(loopback(0)).expect("bind");
    let address = listener.local_addr().expect("address");
    let _client = TcpStream::connect(address).expect("connect");
    let accepted = (0..1_000).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        listener.accept().ok()
    });
    let (accepted, _) = accepted.expect("a connection");
    assert!(accepted.nodelay().expect("an option"));
}
