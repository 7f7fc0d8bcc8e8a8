use std::os::unix::fs::PermissionsExt;
use std::process;
use std::sync::Arc;

use super::*;

/// A directory of the test's own, which is removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("roomwire-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&dir);
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FAR_MS: u64 = 1 << 42;

/// As far as a store looks into one.
fn session(byte: u8, until_ms: u64) -> SavedSession {
    let mut bytes = vec![1];
    bytes.extend([byte; ClientId::BYTES]);
    bytes.extend(until_ms.to_be_bytes());
    bytes.extend([7; 100]);
    SavedSession::from_bytes(&bytes).expect("a session")
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir).expect("a directory").count()
}

#[test]
fn what_is_saved_is_there_for_the_next_process_once() {
    let scratch = Scratch::new("once");
    let saved = session(1, FAR_MS);
    let store = DirStore::open(&scratch.0).expect("a store");
    store.save(saved.clone());
    store.save(session(2, FAR_MS));
    drop(store);
    let store = DirStore::open(&scratch.0).expect("a store");
    assert_eq!(store.take(saved.client(), 0), Some(saved.clone()));
    assert_eq!(store.take(saved.client(), 0), None);
    assert_eq!((files(&scratch.0), store.failed()), (1, 0));
    // The newer one of a client takes the place of the older.
    store.save(session(2, FAR_MS + 1));
    let two = session(2, FAR_MS + 1);
    assert_eq!(store.take(two.client(), 0), Some(two));
    assert_eq!(files(&scratch.0), 0);
}

#[test]
fn of_many_that_ask_one_gets_it() {
    let scratch = Scratch::new("race");
    let store = Arc::new(DirStore::open(&scratch.0).expect("a store"));
    for round in 0..50 {
        let saved = session(round, FAR_MS);
        store.save(saved.clone());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (store, client) = (Arc::clone(&store), saved.client());
                std::thread::spawn(move || store.take(client, 0).is_some())
            })
            .collect();
        let got = threads.into_iter().map(|it| it.join().expect("no panic"));
        assert_eq!(got.filter(|&got| got).count(), 1);
    }
    assert_eq!(files(&scratch.0), 0);
}

#[test]
fn what_is_over_goes_with_the_next_start() {
    let scratch = Scratch::new("over");
    let store = DirStore::open(&scratch.0).expect("a store");
    store.save(session(1, 1_000));
    store.save(session(2, FAR_MS));
    fs::write(scratch.0.join("mine.txt"), "not a session").expect("a file");
    // Of servers that were killed, a while ago and just now.
    let hours = [2, 0].map(|hours| SystemTime::now() - Duration::from_secs(hours * 3_600));
    for (since, name) in hours.into_iter().zip([".roomwire-old", ".roomwire-new"]) {
        let file = File::create(scratch.0.join(name)).expect("a file");
        file.set_modified(since).expect("a time");
    }
    store.key().expect("a key");
    assert_eq!(files(&scratch.0), 6);
    let store = DirStore::open(&scratch.0).expect("a store");
    assert_eq!(files(&scratch.0), 4, "what is not a session stays");
    assert!(!scratch.0.join(".roomwire-old").exists());
    assert_eq!(store.take(session(1, 0).client(), 0), None);
    assert!(store.take(session(2, 0).client(), 0).is_some());
}

#[test]
fn what_is_no_session_is_none() {
    let scratch = Scratch::new("spoiled");
    let store = DirStore::open(&scratch.0).expect("a store");
    let client = session(1, 0).client();
    fs::write(store.path(client), "scribble").expect("a file");
    assert_eq!(store.take(client, 0), None);
    assert_eq!(files(&scratch.0), 0);
    // Nor is a pipe, for which nobody waits.
    let made = process::Command::new("mkfifo")
        .arg(store.path(client))
        .status();
    assert!(made.expect("mkfifo").success());
    assert_eq!(store.take(client, 0), None);
    let made = process::Command::new("mkfifo")
        .arg(scratch.0.join("key"))
        .status();
    assert!(made.expect("mkfifo").success());
    assert!(store.key().is_err());
}

#[test]
fn servers_have_one_key_that_nobody_else_reads() {
    let scratch = Scratch::new("key");
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let dir = scratch.0.clone();
            std::thread::spawn(move || {
                let store = DirStore::open(dir).expect("a store");
                store.key().expect("a key")
            })
        })
        .collect();
    let keys = threads.into_iter().map(|it| it.join().expect("no panic"));
    let keys: Vec<_> = keys.collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_ne!(keys[0], SessionKey([0; 32]));
    let path = scratch.0.join("key");
    let mode = |path: &Path| fs::metadata(path).expect("a file").mode() & 0o777;
    assert_eq!((mode(&path), mode(&scratch.0)), (0o600, 0o700));
    assert_eq!(files(&scratch.0), 1);
    let store = DirStore::open(&scratch.0).expect("a store");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
    let error = store.key().expect_err("others can read it").to_string();
    assert!(error.contains("chmod 600"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
    fs::write(&path, "a secret of mine").expect("a file");
    let error = store.key().expect_err("no key").to_string();
    assert!(error.contains("64 hexadecimal digits"), "{error}");
    assert!(!error.contains("secret of mine"), "{error}");
}

#[test]
fn a_directory_that_cannot_be_used_is_an_error() {
    let scratch = Scratch::new("file");
    fs::write(&scratch.0, "a file").expect("a file");
    assert!(DirStore::open(&scratch.0).is_err());
    fs::remove_file(&scratch.0).expect("removed");
    // One that others can write to.
    fs::create_dir(&scratch.0).expect("made");
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o777)).expect("changed");
    let error = DirStore::open(&scratch.0).expect_err("others can write to it");
    assert!(error.to_string().contains("chmod 700"), "{error}");
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o755)).expect("changed");
    // One that goes later costs sessions, and that is counted.
    let store = DirStore::open(&scratch.0).expect("a store");
    fs::remove_dir_all(&scratch.0).expect("removed");
    store.save(session(1, FAR_MS));
    store.save(session(2, FAR_MS));
    assert_eq!(store.failed(), 2);
    assert_eq!(store.take(session(1, 0).client(), 0), None);
}
