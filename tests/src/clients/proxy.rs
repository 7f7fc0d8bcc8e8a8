//! A small proxy that makes tunnels.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// A proxy at a free port; it ends with the test's process.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    /// The heads of requests, as they came.
    pub(super) requests: Receiver<String>,
}

/// Answers each request with `answer` and, if that begins with a 200, makes the tunnel that was asked for.
pub(super) fn proxy(answer: &'static str) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, requests) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).expect("text");
            let to = head.split(' ').nth(1).map(str::to_owned);
            let _ = tell.send(head);
            let _ = stream.write_all(answer.as_bytes());
            if let Some(to) = to.filter(|_| answer.starts_with("HTTP/1.1 200")) {
                // Whatever is asked for is on this machine.
                let port = to.rsplit(':').next().expect("a port");
                let server = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the server");
                tunnel(stream, server);
            }
        }
    });
    Proxy { address, requests }
}

fn tunnel(one: TcpStream, other: TcpStream) {
    let twins = (one.try_clone(), other.try_clone());
    let (Ok(one_again), Ok(other_again)) = twins else {
        return;
    };
    for (mut from, mut to) in [(one, other), (other_again, one_again)] {
        thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
