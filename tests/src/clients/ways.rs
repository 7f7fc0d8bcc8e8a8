//! Ways to a server: TLS, a proxy, and both.

use rcgen::{CertificateParams, KeyPair};
use roomwire_runtime::client::{CloseCause, Roots};
use roomwire_runtime::tls::CertificateFiles;

use super::proxy::proxy;
use super::*;

pub(super) fn play<R: Runtime>(start: Start) {
    clients_speak_tls::<R>(start);
    clients_go_by_a_proxy::<R>(start);
    a_proxy_that_refuses_is_no_way::<R>();
}

/// A server that speaks TLS as `localhost`, and its certificate in PEM.
fn secure(start: Start) -> (Running, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let folder = std::env::temp_dir();
    let number = std::process::id();
    let files = CertificateFiles {
        cert: folder.join(format!("roomwire-clients-{number}-cert.pem")),
        key: folder.join(format!("roomwire-clients-{number}-key.pem")),
    };
    std::fs::write(&files.cert, certificate.pem()).expect("a file");
    std::fs::write(&files.key, key.serialize_pem()).expect("a file");
    let settings = Settings {
        listeners: vec![ListenerSettings {
            tls: true,
            ..ListenerSettings::at(([127, 0, 0, 1], 0))
        }],
        certificates: vec![files.clone()],
        ..Settings::default()
    };
    let running = start(settings);
    for file in [files.cert, files.key] {
        std::fs::remove_file(file).expect("removed");
    }
    (running, certificate.pem())
}

fn secure_settings(host: &str, server: &Running, pem: &str) -> ClientSettings {
    let url = format!("wss://{host}:{}/", server.address.port());
    let mut settings = ClientSettings::new(&url).expect("a URL");
    settings.session.connection.max_unsent_bytes = 4 << 20;
    settings.session.queue_bytes = 4 << 20;
    settings.roots = Roots::Pem(pem.into());
    settings
}

/// More than a socket takes at once goes both ways, and whom it does not trust it does not speak to.
// covers A4-16
fn clients_speak_tls<R: Runtime>(start: Start) {
    let (server, pem) = secure(start);
    talk::<R>(secure_settings("localhost", &server, &pem));
    let stranger = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let stranger = stranger.self_signed(&key).expect("a certificate").pem();
    for (host, pem, part) in [
        ("localhost", &stranger, "name a PEM file"),
        ("127.0.0.1", &pem, "is the name in the URL right?"),
    ] {
        let mut settings = secure_settings(host, &server, pem);
        settings.session.max_reconnect_attempts = Some(0);
        let why = fails::<R>(settings);
        assert!(why.starts_with("TLS: ") && why.contains(part), "{why}");
    }
    let plain = free(start);
    let mut settings = secure_settings("localhost", &plain, &pem);
    settings.session.max_reconnect_attempts = Some(0);
    let why = fails::<R>(settings);
    assert!(why.contains("does the server speak TLS there?"), "{why}");
    (plain.kill)();
    (server.kill)();
}

/// Two clients with the same settings hear each other.
fn talk<R: Runtime>(settings: ClientSettings) {
    let (ada, mut heard) = connect::<R>(settings.clone());
    let (bob, _) = connect::<R>(settings);
    done(ada.join("tea"));
    done(bob.join("tea"));
    let much = format!("\"{}\"", "much".repeat(200_000));
    for data in [&*much, "1", &much, "2"] {
        done(bob.say("tea", data));
        assert_eq!(until(&mut heard, said), data);
    }
    for client in [ada, bob] {
        client.close();
        assert!(client.wait_closed(PATIENCE));
    }
}

/// Why it cannot connect.
fn fails<R: Runtime>(settings: ClientSettings) -> String {
    let (client, events) = connect::<R>(settings);
    let closed = events.filter_map(|event| match event {
        Event::Closed(closed) => Some(closed.cause),
        _ => None,
    });
    assert_eq!(closed.collect::<Vec<_>>(), [CloseCause::ConnectFailed]);
    client.last_error().expect("a reason")
}

fn clients_go_by_a_proxy<R: Runtime>(start: Start) {
    let server = free(start);
    let proxy = proxy("HTTP/1.1 200 Connection established\r\nX-One: 1\r\n\r\n");
    let mut plain = settings(server.address);
    let url = format!("http://ada:se%3Acret@{}/", proxy.address);
    plain.proxy = Some(url.parse().expect("a proxy"));
    // The password is not shown.
    assert!(!format!("{plain:?}").contains("cret"), "{plain:?}");
    talk::<R>(plain);
    let to = server.address;
    let expected = format!(
        "CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: Basic YWRhOnNlOmNyZXQ=\r\n\r\n"
    );
    assert_eq!(proxy.requests.recv_timeout(PATIENCE), Ok(expected));
    (server.kill)();
    let (server, pem) = secure(start);
    let mut settings = secure_settings("localhost", &server, &pem);
    let url = format!("http://{}", proxy.address);
    settings.proxy = Some(url.parse().expect("a proxy"));
    talk::<R>(settings);
    let requests: Vec<_> = proxy.requests.try_iter().collect();
    let to = format!("localhost:{}", server.address.port());
    let expected = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    assert_eq!(requests.last(), Some(&expected));
    (server.kill)();
}

fn a_proxy_that_refuses_is_no_way<R: Runtime>() {
    for (answer, part) in [
        (
            "HTTP/1.1 407 Who is it\r\n\r\n",
            "407 Who is it: it asks who you are",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "502 Bad Gateway: it does not reach the server",
        ),
        ("SSH-2.0\r\n\r\n", "its answer is not HTTP/1.1"),
        (
            "HTTP/1.1 200 OK\r\n",
            "the connection ended before the proxy had answered",
        ),
    ] {
        let proxy = proxy(answer);
        let mut settings = ClientSettings::new("ws://example.com/").expect("a URL");
        settings.session.max_reconnect_attempts = Some(0);
        let url = format!("http://{}", proxy.address);
        settings.proxy = Some(url.parse().expect("a proxy"));
        let why = fails::<R>(settings);
        assert!(why.contains(part), "{why}");
    }
}
