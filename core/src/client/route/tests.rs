use super::*;
use crate::client::session::{CloseCause, Command, Event, Session, SessionConfig};
use crate::time::Instant;

const NOW: Now = Now {
    mono: Instant::ZERO,
    unix_ms: 1_700_000_000_000,
};

/// A session on its way, and the end of its socket.
struct World {
    machine: Routed<Session>,
    connection: Option<ConnectionId>,
    /// What the socket has taken, and how much it takes at a time.
    taken: Vec<u8>,
    takes: usize,
    closes: Vec<bool>,
    events: Vec<Event>,
}

impl World {
    fn new(route: Route) -> Self {
        let mut config = SessionConfig::new("example.com");
        config.max_reconnect_attempts = Some(0);
        config.connection.deflate = None;
        let session = Session::new(config, [7; 32], NOW).expect("a config");
        let mut world = Self {
            machine: Routed::new(session, route),
            connection: None,
            taken: Vec::new(),
            takes: usize::MAX,
            closes: Vec::new(),
            events: Vec::new(),
        };
        world.drain();
        let connection = world.connection.expect("it connects");
        world.input(Input::Connected { connection });
        world
    }

    fn input(&mut self, input: Input<'_, Command, core::convert::Infallible>) {
        let _ = self.machine.handle(NOW, input);
        self.drain();
    }

    fn hear(&mut self, bytes: &[u8]) {
        if let Some(connection) = self.connection {
            let bytes = &mut bytes.to_vec()[..];
            self.input(Input::Received { connection, bytes });
        }
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            match self.machine.poll() {
                Output::Connect { connection, .. } => self.connection = Some(connection),
                Output::Transmit { connection } => self.transmit(connection),
                Output::Close { connection, reset } => {
                    assert_eq!(self.connection.take(), Some(connection));
                    self.closes.push(reset);
                }
                Output::Event(event) => self.events.push(event),
                Output::Idle { .. } => return,
                other => panic!("{other:?}"),
            }
        }
        panic!("it never comes to an end");
    }

    fn transmit(&mut self, connection: ConnectionId) {
        let unsent: Vec<u8> = self.machine.unsent(connection).flatten().copied().collect();
        assert!(!unsent.is_empty());
        let bytes = unsent.len().min(self.takes);
        self.taken.extend(&unsent[..bytes]);
        let blocked = bytes < unsent.len();
        let sent = Input::Sent {
            connection,
            bytes,
            blocked,
        };
        let _ = self.machine.handle(NOW, sent);
    }

    /// How the attempt ended, and why.
    fn end(&mut self) -> (CloseCause, Option<String>) {
        let closed = self.events.iter().find_map(|event| match event {
            Event::Closed(closed) => Some(closed.cause.clone()),
            _ => None,
        });
        let why = self.machine.take_trouble().map(|why| why.to_string());
        (closed.expect("an end"), why)
    }
}

fn by_proxy(url: &str) -> Route {
    let proxy = url.parse().expect("a proxy");
    Route {
        proxy: Some((proxy, "example.com:80".to_owned())),
        ..Route::default()
    }
}

const CONNECT: &str = "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n";
const TUNNEL: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 404 No\r\n\r\n";

/// However its answer is cut, and whatever follows in the same piece.
#[test]
fn a_proxy_is_asked_first() {
    for piece in [1, 2, 7, 1_000] {
        let mut world = World::new(by_proxy("http://proxy:3128"));
        assert_eq!(world.taken, CONNECT.as_bytes());
        world.taken.clear();
        for bytes in [TUNNEL, REFUSED].concat().chunks(piece) {
            world.hear(bytes);
        }
        assert!(
            world
                .taken
                .starts_with(b"GET / HTTP/1.1\r\nHost: example.com\r\n")
                || piece == 1_000
        );
        // It is the server that refuses.
        let refused = CloseCause::Refused { status: 404 };
        assert_eq!(world.end(), (refused, None));
    }
}

#[test]
fn without_anything_on_the_way_nothing_is_changed() {
    let mut world = World::new(Route::default());
    assert!(world.taken.starts_with(b"GET / HTTP/1.1\r\n"));
    world.hear(REFUSED);
    assert_eq!(world.end(), (CloseCause::Refused { status: 404 }, None));
}

#[test]
fn whoever_makes_no_tunnel_ends_the_attempt() {
    let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'a'; 17_000]].concat();
    for (answer, part) in [
        (REFUSED, "refused with 404 No"),
        (b"HTTP/1.1 407 Who\r\n\r\n", "it asks who you are"),
        (b"nonsense\r\n\r\n", "not HTTP/1.1"),
        (&endless, "has no end"),
    ] {
        let mut world = World::new(by_proxy("http://proxy"));
        world.hear(answer);
        let (cause, why) = world.end();
        assert_eq!(cause, CloseCause::ConnectFailed);
        assert!(why.clone().is_some_and(|why| why.contains(part)), "{why:?}");
        assert_eq!((world.connection, &*world.closes), (None, &[false][..]));
    }
    // And whoever goes away, in whatever way.
    for how in 0..3 {
        let mut world = World::new(by_proxy("http://proxy"));
        let connection = world.connection.expect("a connection");
        world.input(match how {
            0 => Input::ReadEnd { connection },
            1 => Input::Ended {
                connection,
                end: TransportEnd::Reset,
            },
            _ => Input::ConnectFailed { connection },
        });
        let (cause, why) = world.end();
        assert_eq!(cause, CloseCause::ConnectFailed);
        let expected = "the connection ended before the proxy had answered";
        assert_eq!(why.as_deref(), Some(expected));
    }
}

/// One that answers while the question is still on its way is not believed.
#[test]
fn an_answer_before_the_question_is_none() {
    let mut world = World::new(Route::default());
    world.machine.route = by_proxy("http://proxy");
    world.machine.stage = Stage::Connecting;
    world.takes = 5;
    let connection = world.connection.expect("a connection");
    world.input(Input::Connected { connection });
    world.hear(TUNNEL);
    let (_, why) = world.end();
    assert!(
        why.clone()
            .is_some_and(|why| why.contains("before it was asked")),
        "{why:?}"
    );
}

#[test]
fn proxies_have_urls() {
    for (url, host, port, shown) in [
        ("http://a", "a", 80, "http://a:80"),
        ("HTTP://a:1/", "a", 1, "http://a:1"),
        ("http://u:p%40@[::1]:3128", "::1", 3128, "http://[::1]:3128"),
    ] {
        let proxy: Proxy = url.parse().expect(url);
        assert_eq!((proxy.host(), proxy.port()), (host, port));
        assert_eq!(
            (proxy.to_string(), format!("{proxy:?}")),
            (shown.to_owned(), shown.to_owned())
        );
    }
    for url in [
        "a",
        "https://a",
        "http://",
        "http://a/b",
        "http://%zz@a",
        "http://%0a@a",
        "http://%ff@a",
        "http://a/@b",
    ] {
        url.parse::<Proxy>().expect_err(url);
    }
    let credentials = |url: &str| {
        let mut out = Vec::new();
        url.parse::<Proxy>()
            .expect(url)
            .write_request("x:1", &mut out);
        let text = String::from_utf8(out).expect("text");
        text.split("Basic ")
            .nth(1)
            .map(|it| it.trim_end().to_owned())
    };
    assert_eq!(credentials("http://a"), None);
    assert_eq!(credentials("http://u@a").as_deref(), Some("dTo="));
    assert_eq!(
        credentials("http://u:p%3A%2F@a").as_deref(),
        Some("dTpwOi8=")
    );
}

#[cfg(feature = "tls")]
mod tls {
    use std::io::{Read, Write};
    use std::sync::Arc;

    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};
    use tungstenite::handshake::derive_accept_key;

    use super::*;
    use crate::client::session::{Content, Item, Outcome};

    /// A way by TLS, and the server at its end.
    fn secure() -> (Route, ServerConnection) {
        let own =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = own.cert.der().clone();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
        let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a certificate and its key");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Tls {
            config: Arc::new(config),
            name: ServerName::try_from("localhost").expect("a name"),
        };
        let route = Route {
            tls: Some(tls),
            ..Route::default()
        };
        (
            route,
            ServerConnection::new(Arc::new(server)).expect("a session"),
        )
    }

    /// Carries what each has for the other, in pieces of at most so many bytes; what the server has heard.
    fn carry(world: &mut World, server: &mut ServerConnection, piece: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        for _ in 0..10_000 {
            let taken = core::mem::take(&mut world.taken);
            let mut moved = !taken.is_empty();
            for mut bytes in taken.chunks(piece) {
                while !bytes.is_empty() {
                    server.read_tls(&mut bytes).expect("room");
                    let state = server.process_new_packets().expect("TLS");
                    let more = state.plaintext_bytes_to_read();
                    let mut plain = server.reader().take(more as u64);
                    plain.read_to_end(&mut heard).expect("plain text");
                }
            }
            let mut out = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut out).expect("written");
            }
            moved |= !out.is_empty();
            for bytes in out.chunks(piece) {
                world.hear(bytes);
            }
            if let Some(connection) = world.connection {
                world.input(Input::Writable { connection });
            }
            if !moved && world.taken.is_empty() {
                return heard;
            }
        }
        panic!("they never come to an end");
    }

    /// An item is told as sent when the socket has taken it whole, and not before.
    #[test]
    fn what_a_full_socket_has_not_taken_is_not_sent() {
        let (route, mut server) = secure();
        let mut world = World::new(route);
        let request = carry(&mut world, &mut server, 100);
        let request = String::from_utf8(request).expect("text");
        let key = request.split("Sec-WebSocket-Key: ").nth(1).expect("a key");
        let accept = derive_accept_key(&key.as_bytes()[..24]);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        server
            .writer()
            .write_all(answer.as_bytes())
            .expect("written");
        let welcome = br#"{"type":"welcome","clientId":"client_AAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let frame = [&[0x81, welcome.len() as u8][..], welcome].concat();
        server.writer().write_all(&frame).expect("written");
        carry(&mut world, &mut server, 3);
        assert!(
            world
                .events
                .iter()
                .any(|it| matches!(it, Event::Opened { .. }))
        );
        world.events.clear();
        let bytes = vec![7; 40_000];
        let content = Content::Binary(bytes);
        let send = crate::client::session::Send::new(Item(1), content);
        world.takes = 1_000;
        world.input(Input::Command(Command::Send(send)));
        let connection = world.connection.expect("a connection");
        let mut turns = 0;
        while world.events.is_empty() {
            assert!(world.taken.len() < 41_000);
            world.input(Input::Writable { connection });
            turns += 1;
            assert!(turns < 100, "it is never sent");
        }
        let sent = Event::Outcome {
            item: Item(1),
            outcome: Outcome::Sent,
        };
        assert_eq!(world.events, [sent]);
        assert!(world.taken.len() > 40_000, "{}", world.taken.len());
        world.takes = usize::MAX;
        let heard = carry(&mut world, &mut server, 1_000);
        assert!(
            heard.len() > 40_000 && heard.len() < 40_020,
            "{}",
            heard.len()
        );
        // It ends with a goodbye of TLS.
        world.input(Input::Command(Command::Close));
        carry(&mut world, &mut server, 1_000);
        server
            .writer()
            .write_all(&[0x88, 2, 3, 0xE8])
            .expect("written");
        carry(&mut world, &mut server, 1_000);
        assert_eq!(world.closes, [false]);
        let mut rest = [0; 10];
        assert_eq!(server.reader().read(&mut rest).expect("an end"), 0);
    }

    #[test]
    fn whom_it_does_not_trust_it_tells_nothing() {
        let (route, _) = secure();
        let (_, mut stranger) = secure();
        let mut world = World::new(route);
        let heard = carry_until_wrong(&mut world, &mut stranger);
        assert_eq!(heard, b"");
        let (cause, why) = world.end();
        assert_eq!(cause, CloseCause::ConnectFailed);
        assert!(
            why.clone()
                .is_some_and(|why| why.contains("name a PEM file")),
            "{why:?}"
        );
        assert_eq!(world.closes, [false]);
    }

    /// Until either says that something is wrong.
    fn carry_until_wrong(world: &mut World, server: &mut ServerConnection) -> Vec<u8> {
        let mut heard = Vec::new();
        for _ in 0..10 {
            let taken = core::mem::take(&mut world.taken);
            let mut bytes = &taken[..];
            while !bytes.is_empty() && server.read_tls(&mut bytes).is_ok() {
                let Ok(state) = server.process_new_packets() else {
                    return heard;
                };
                let more = state.plaintext_bytes_to_read();
                let mut plain = server.reader().take(more as u64);
                plain.read_to_end(&mut heard).expect("plain text");
            }
            let mut out = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut out).expect("written");
            }
            world.hear(&out);
        }
        heard
    }

    #[test]
    fn a_handshake_that_breaks_off_is_a_failed_attempt() {
        for (bytes, part) in [
            (
                &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
                "does the server speak TLS there?",
            ),
            (&[], "the connection ended before TLS was agreed on"),
        ] {
            let (route, _) = secure();
            let mut world = World::new(route);
            world.hear(bytes);
            if let Some(connection) = world.connection {
                world.input(Input::ReadEnd { connection });
            }
            let (cause, why) = world.end();
            assert_eq!(cause, CloseCause::ConnectFailed);
            assert!(why.clone().is_some_and(|why| why.contains(part)), "{why:?}");
        }
    }
}
