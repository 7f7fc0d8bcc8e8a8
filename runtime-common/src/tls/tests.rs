use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};

use super::*;

/// A folder of this test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("roomwire-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("written");
        path
    }

    /// A certificate for these names, and its key.
    fn certificate(&self, file: &str, names: &[&str]) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let Generated { cert, signing_key } = generate_simple_self_signed(names).expect("one");
        CertificateFiles {
            cert: self.write(&format!("{file}.crt"), &cert.pem()),
            key: self.write(&format!("{file}.key"), &signing_key.serialize_pem()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refusal(files: CertificateFiles) -> String {
    Certificates::load(&[files]).expect_err("wrong").to_string()
}

fn shown(certificates: &Certificates, name: &str) -> Vec<String> {
    let store = Arc::clone(&certificates.shelf.0.read().expect("unlocked"));
    let certified = store.find(name);
    names_of(&certified, Path::new("")).expect("names")
}

#[test]
fn clients_get_the_certificate_of_the_name_that_they_ask_for() {
    let folder = Folder::new();
    let files = [
        folder.certificate("first", &["first.example", "also.example"]),
        folder.certificate("second", &["second.example"]),
        folder.certificate("wild", &["*.wild.example", "second.example"]),
    ];
    let certificates = Certificates::load(&files).expect("right");
    for (name, leaf) in [
        ("first.example", "first.example"),
        ("ALSO.example", "first.example"),
        ("second.example", "second.example"),
        ("a.wild.example", "*.wild.example"),
        // A star stands for one label (RFC 9525, section 6.3).
        ("a.b.wild.example", "first.example"),
        ("wild.example", "first.example"),
        ("unknown.example", "first.example"),
        ("", "first.example"),
    ] {
        assert_eq!(shown(&certificates, name)[0], leaf, "{name}");
    }
}

#[test]
fn files_are_read_again_and_kept_if_they_are_wrong() {
    let folder = Folder::new();
    let files = folder.certificate("one", &["before.example"]);
    let certificates = Certificates::load(&[files]).expect("right");
    folder.certificate("one", &["after.example"]);
    assert_eq!(shown(&certificates, ""), ["before.example"]);
    certificates.reload().expect("right");
    assert_eq!(shown(&certificates, ""), ["after.example"]);
    folder.write("one.crt", "half a certificate");
    certificates.reload().expect_err("wrong");
    assert_eq!(shown(&certificates, ""), ["after.example"]);
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let folder = Folder::new();
    let good = folder.certificate("good", &["good.example"]);
    let other = folder.certificate("other", &["good.example"]);
    let with = |cert: &Path, key: &Path| CertificateFiles {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    let text = folder.write("text", "not in PEM\n");
    let nowhere = folder.0.join("nowhere");
    let cases = [
        (with(&nowhere, &good.key), "nowhere: No such file"),
        (
            with(&text, &good.key),
            "text: it holds no certificate in PEM",
        ),
        (
            with(&good.key, &good.key),
            "good.key: it holds no certificate in PEM",
        ),
        (
            with(&good.cert, &text),
            "text: it holds no private key in PEM",
        ),
        (
            with(&good.cert, &good.cert),
            "good.crt: it holds no private key in PEM",
        ),
        (
            with(&good.cert, &other.key),
            "other.key: its key is not that of",
        ),
    ];
    for (files, what) in cases {
        let refusal = refusal(files);
        assert!(refusal.contains(what), "{refusal}");
    }
    let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let refusal = refusal(with(&good.cert, &folder.write("broken", broken)));
    assert!(
        refusal.contains("broken: its key cannot be used"),
        "{refusal}"
    );
    assert!(!refusal.contains("c2VjcmV0") && !refusal.contains("secret"));
    let none = Certificates::load(&[]).expect_err("none").to_string();
    assert!(none.contains("--tls-cert"), "{none}");
}

#[test]
fn connections_speak_http_over_tls_1_2_or_1_3() {
    let folder = Folder::new();
    let files = folder.certificate("one", &["one.example"]);
    let config = Certificates::load(&[files]).expect("right").config();
    assert_eq!(config.alpn_protocols, [b"http/1.1"]);
    assert_eq!(config.max_early_data_size, 0);
}
