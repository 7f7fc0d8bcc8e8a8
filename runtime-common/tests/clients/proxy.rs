//! `--proxy`: a tunnel is asked for, and the server is behind it.

use std::io::{Write, copy};
use std::net::TcpStream;
use std::thread;

use crate::peer::{expect_goodbye, read_head, send, serve, text, websocket};
use crate::process::run;

#[test]
fn a_proxy_makes_the_way() {
    let server = websocket(|socket| {
        text(socket);
        send(socket, r#"{"type":"ack","id":1}"#);
        expect_goodbye(socket);
    });
    let address = server.url.replace("ws://", "").replace('/', "");
    let proxy = serve(move |mut stream| {
        read_head(&mut stream);
        let mut there = TcpStream::connect(address).expect("the server");
        let answer = b"HTTP/1.1 200 OK\r\nVia: a test\r\n\r\n";
        stream.write_all(answer).expect("written");
        let mut back = stream.try_clone().expect("a socket");
        let mut from = there.try_clone().expect("a socket");
        let way_back = thread::spawn(move || copy(&mut from, &mut back));
        let _ = copy(&mut stream, &mut there);
        let _ = way_back.join().expect("no panic");
    });
    let flag = format!("--proxy={}", proxy.url.replace("ws://", "http://"));
    let ended = run(&["connect", &server.url, &flag, r#"--json={"id":1}"#]);
    server.done();
    proxy.done();
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
}

#[test]
fn a_proxy_that_refuses_is_exit_1() {
    let proxy = serve(|mut stream| {
        read_head(&mut stream);
        let answer = b"HTTP/1.1 407 Who\r\n\r\n";
        stream.write_all(answer).expect("written");
    });
    let flag = format!("--proxy={}", proxy.url.replace("ws://", "http://"));
    let ended = run(&["connect", "ws://example.com/", &flag]);
    proxy.done();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .errors
            .contains("refused with 407 Who: it asks who you are"),
        "{}",
        ended.errors
    );
    let ended = run(&["connect", "ws://example.com/", "--proxy=socks://a"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.errors.contains("expected http://HOST:PORT"),
        "{}",
        ended.errors
    );
}
