//! Tests of listening sockets.

use std::net::{Ipv6Addr, TcpStream};
use std::os::unix::net::UnixStream;

use super::*;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A TCP listener.
fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    match super::bind(&address.into())? {
        Listener::Tcp(listener) => Ok(listener),
        Listener::Unix(_) => panic!("asked for TCP"),
    }
}

/// A path of this test's own.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("roomwire-{}-{name}", std::process::id()))
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

#[test]
fn addresses_are_read_as_they_are_shown() {
    for text in [
        "127.0.0.1:8080",
        "[::1]:0",
        "unix:/run/roomwire.sock",
        "unix:here",
        "fd:0",
    ] {
        let address: Address = text.parse().expect(text);
        assert_eq!(address.to_string(), text);
    }
    for text in [
        "",
        "8080",
        "localhost:1",
        "unix:",
        "fd:",
        "fd:x",
        "/run/roomwire.sock",
        "127.0.0.1",
    ] {
        let error = text.parse::<Address>().expect_err(text).to_string();
        assert!(error.contains("unix:/run/roomwire.sock"), "{error}");
    }
}

#[test]
fn a_unix_socket_takes_connections_and_its_file_goes_with_it() {
    let path = path("goes");
    let address = Address::from(path.clone());
    let listener = super::bind(&address).expect("bind");
    let file = SocketFile::of(&address);
    assert_eq!(listener.local_addr().expect("a name"), address);
    UnixStream::connect(&path).expect("connect");
    let Listener::Unix(listener) = listener else {
        panic!("asked for UNIX");
    };
    listener.accept().expect("somebody is there");
    let error = listener.accept().expect_err("nobody else");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(file);
    assert!(!path.exists());
    assert!(SocketFile::of(&loopback(1).into()).is_none());
}

#[test]
fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
    let path = path("stale");
    let address = Address::from(path.clone());
    let first = super::bind(&address).expect("bind");
    let error = super::bind(&address).expect_err("in use").to_string();
    assert!(error.starts_with(&format!("cannot listen on unix:{}", path.display())));
    assert!(error.ends_with("choose another path"), "{error}");
    drop(first);
    // As after a kill: the file is there, and nobody listens.
    assert!(path.exists());
    super::bind(&address).expect("replaced");
    drop(SocketFile::of(&address));
}

#[test]
fn a_socket_that_has_taken_the_place_is_left_alone() {
    let path = path("taken");
    let address = Address::from(path.clone());
    let first = super::bind(&address).expect("bind");
    let file = SocketFile::of(&address).expect("a file");
    fs::remove_file(&path).expect("there");
    let second = super::bind(&address).expect("bind");
    drop((first, file));
    UnixStream::connect(&path).expect("the second is there");
    drop((second, SocketFile::of(&address)));
    assert!(!path.exists());
}

#[test]
fn a_server_that_is_too_busy_to_accept_is_there() {
    let path = path("busy");
    let address = Address::from(path.clone());
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    socket
        .bind(&socket2::SockAddr::unix(&path).expect("a path"))
        .expect("bind");
    socket.listen(0).expect("listen");
    let _waits = UnixStream::connect(&path).expect("one waits");
    super::bind(&address).expect_err("in use");
    fs::remove_file(&path).expect("there");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let path = path("precious");
    fs::write(&path, "precious").expect("written");
    super::bind(&path.clone().into()).expect_err("not a socket");
    assert_eq!(fs::read_to_string(&path).expect("there"), "precious");
    fs::remove_file(&path).expect("there");
}

#[test]
fn what_is_wrong_with_a_path_is_said() {
    for (path, advice) in [
        (
            PathBuf::from("/nowhere/roomwire.sock"),
            "that folder is not there",
        ),
        (
            PathBuf::from("/tmp/".to_owned() + &"x".repeat(120)),
            "at most 107 bytes",
        ),
    ] {
        let error = super::bind(&path.into()).expect_err("no such place");
        assert!(error.to_string().contains(advice), "{error}");
    }
}
