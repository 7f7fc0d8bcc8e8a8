//! `wss://`: whom a client trusts, and that TLS holds up nothing.

use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;

use crate::peer::{Server, expect_goodbye, send, serve, text};
use crate::process::{Process, run};

#[test]
fn tls_is_verified() {
    const MUCH: usize = 8 << 20;
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let file = |name: &str, text: &str| {
        let file = format!("roomwire-{}-{name}.pem", std::process::id());
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, text).expect("a file");
        file.to_str().expect("text").to_owned()
    };
    let stranger = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let stranger = stranger.self_signed(&KeyPair::generate().expect("a key"));
    let stranger = file("stranger", &stranger.expect("a certificate").pem());
    let empty = file("empty", "nothing");
    let file = file("own", &certificate.pem());

    let der = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .expect("a config");
    let config = Arc::new(config);
    let tls = || {
        let config = Arc::clone(&config);
        serve(move |stream| {
            let session = rustls::ServerConnection::new(config).expect("a session");
            let stream = rustls::StreamOwned::new(session, stream);
            // Whom the client does not trust, it does not speak to.
            let Ok(mut socket) = tungstenite::accept(stream) else {
                return;
            };
            let said = text(&mut socket);
            assert!(said.len() > MUCH, "{} bytes", said.len());
            send(&mut socket, &"x".repeat(MUCH));
            send(&mut socket, r#"{"type":"ack","id":1}"#);
            expect_goodbye(&mut socket);
        })
    };
    let url = |server: &Server, host: &str| {
        let port = server.url.rsplit(':').next().expect("a port");
        format!("wss://{host}:{port}")
    };
    let ca = format!("--ca={file}");
    let other = format!("--ca={stranger}");
    // More than TLS takes at once, and than a socket does. The file stands in for the system's, or is named.
    for (arguments, variables) in [
        (vec![ca.as_str()], vec![]),
        (vec![], vec![("SSL_CERT_FILE", file.as_str())]),
    ] {
        let server = tls();
        let url = url(&server, "localhost");
        let arguments = [&["connect", &url], &*arguments].concat();
        let mut process = Process::start_with(&arguments, &variables);
        process.write(&format!("{{\"id\":1,\"data\":\"{}\"}}\n", "y".repeat(MUCH)));
        process.stdin = None;
        let ended = process.end();
        server.done();
        assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
        assert_eq!(ended.lines()[0].len(), MUCH);
    }

    for (host, ca, part) in [
        ("localhost", &other, "--ca names a PEM file"),
        ("127.0.0.1", &ca, "is the name in the URL right?"),
    ] {
        let server = tls();
        let ended = run(&["connect", &url(&server, host), ca]);
        server.done();
        assert_eq!(ended.code, 1);
        assert!(ended.errors.contains(part), "{part}: {}", ended.errors);
    }

    let plain = serve(|mut stream| {
        let mut hello = [0; 16];
        stream.read_exact(&mut hello).expect("a hello");
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .expect("written");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    });
    let ended = run(&["connect", &url(&plain, "localhost"), &ca]);
    plain.done();
    assert_eq!(ended.code, 1);
    assert!(
        ended.errors.contains("does the server speak TLS there?"),
        "{}",
        ended.errors
    );

    let holds_none = format!("--ca={empty}");
    for (ca, part) in [
        (holds_none.as_str(), "holds no certificate"),
        ("--ca=/nowhere", "--ca: /nowhere: cannot be read"),
    ] {
        let ended = run(&["connect", "wss://localhost/", ca]);
        assert_eq!(ended.code, 2);
        assert!(ended.errors.contains(part), "{part}: {}", ended.errors);
    }
    for file in [file, stranger, empty] {
        std::fs::remove_file(&file).expect("removed");
    }
}
