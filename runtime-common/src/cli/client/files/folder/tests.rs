use roomwire_core::{ClientId, TransferId};

use super::*;

/// A directory that is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("roomwire-folder-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a directory");
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn offer(name: &str, size: u64, hash: Option<[u8; 32]>) -> Offer {
    Offer {
        transfer: TransferId::from_bits(7),
        from: ClientId::from_bytes(&[1; 18]),
        room: None,
        file_name: name.into(),
        size,
        mime_type: "".into(),
        hash,
        max_window_bytes: 1,
    }
}

#[test]
fn names_are_never_paths() {
    for (name, expected) in [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\autoexec.bat", "autoexec.bat"),
        ("..", "file"),
        (".", "file"),
        ("", "file"),
        ("a/", "file"),
        ("...", "file"),
        (".bashrc", "bashrc"),
        (". .x", "x"),
        ("a\0b\nc\u{1b}[31m", "abc[31m"),
        ("gpj.\u{202e}exe", "gpj.exe"),
        ("  a b  ", "a b"),
        ("trailing. ", "trailing"),
        ("ä/ö.ü", "ö.ü"),
        ("no extension", "no extension"),
    ] {
        assert_eq!(safe_name(name), expected, "{name:?}");
    }
    let long = safe_name(&format!("{}.{}", "ä".repeat(500), "x".repeat(500)));
    assert!(long.len() <= MAX_NAME_BYTES, "{long}");
    assert!(long.starts_with("ää") && long.contains(".xx"), "{long}");
}

#[test]
fn nothing_is_overwritten() {
    let scratch = Scratch::new("overwrite");
    fs::write(scratch.0.join("a.tar.gz"), "mine").expect("written");
    let mut folder = Folder::open(&scratch.0, true).expect("a folder");
    for expected in ["a.tar (1).gz", "a.tar (2).gz"] {
        let part = folder.part(&offer("a.tar.gz", 3, None)).expect("a part");
        fs::write(part.path(), "new").expect("written");
        let path = folder.keep(part).expect("kept");
        assert_eq!(path, scratch.0.join(expected));
        assert_eq!(fs::read(path).expect("read"), b"new");
    }
    let mine = fs::read(scratch.0.join("a.tar.gz")).expect("read");
    assert_eq!(mine, b"mine");
    assert_eq!(
        scratch.names(),
        ["a.tar (1).gz", "a.tar (2).gz", "a.tar.gz"]
    );
}

#[test]
fn a_part_is_taken_up_if_it_is_of_the_same_file() {
    let scratch = Scratch::new("resume");
    let hash = Some([1; 32]);
    let begin = |resumes, offer: &Offer| {
        let mut folder = Folder::open(&scratch.0, resumes).expect("a folder");
        folder.part(offer).expect("a part")
    };
    let part = begin(false, &offer("a", 9, hash));
    fs::write(part.path(), "four").expect("written");
    let path = part.path().to_owned();
    // Somebody is at it.
    let second = begin(true, &offer("a", 9, hash));
    assert_ne!(second.path(), path);
    fs::remove_file(second.path()).expect("removed");
    drop((part, second));
    for (resumes, offered, have) in [
        (true, offer("a", 9, hash), 4),
        (true, offer("a", 9, None), 4),
        (false, offer("a", 9, hash), 0),
        (true, offer("a", 10, hash), 0),
        (true, offer("b", 9, hash), 0),
        (true, offer("a", 9, Some([2; 32])), 0),
    ] {
        let part = begin(resumes, &offered);
        assert_eq!(part.have, have, "{resumes} {offered:?}");
        assert_eq!(part.path() == path, have > 0);
        if have == 0 {
            fs::remove_file(part.path()).expect("removed");
        } else {
            // Told or not, the hash that is known stays what is compared.
            write_state(
                &part.state,
                &State {
                    sha256: hash.map(|hash| hex(&hash)),
                    ..state(&part)
                },
            )
            .expect("written");
        }
    }
    // What this process has left it goes on with in any case.
    let mut folder = Folder::open(&scratch.0, false).expect("a folder");
    let part = folder.part(&offer("c", 9, hash)).expect("a part");
    fs::write(part.path(), "six...").expect("written");
    drop(part);
    assert_eq!(folder.part(&offer("c", 9, hash)).expect("a part").have, 6);
}

fn state(part: &Part) -> State {
    let text = fs::read(&part.state).expect("a state");
    serde_json::from_slice(&text).expect("a state")
}

#[test]
fn what_is_no_part_is_left_alone() {
    let scratch = Scratch::new("foreign");
    let wanted = offer("a", 9, None);
    let mut folder = Folder::open(&scratch.0, true).expect("a folder");
    let path = scratch.0.join(".a.part");
    // Without a state, with a wrong one, and longer than the file: all of them somebody's own.
    let part = folder.part(&wanted).expect("a part");
    let states = scratch.0.join(".a.part.json");
    let state = fs::read(&states).expect("a state");
    drop(part);
    for (content, state) in [
        ("four", None),
        ("four", Some(b"{".to_vec())),
        ("longer than nine", Some(state)),
    ] {
        fs::write(&path, content).expect("written");
        let _ = fs::remove_file(&states);
        if let Some(state) = state {
            fs::write(&states, state).expect("written");
        }
        let part = folder.part(&wanted).expect("a part");
        assert_ne!(part.path(), path);
        assert_eq!(part.have, 0);
        folder.discard(part);
        assert_eq!(fs::read_to_string(&path).expect("read"), content);
    }
    fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink("/etc/passwd", &path).expect("a link");
    let part = folder.part(&wanted).expect("a part");
    assert_ne!(part.path(), path);
}

#[test]
fn a_folder_must_be_there() {
    let scratch = Scratch::new("none");
    let missing = scratch.0.join("missing");
    let why = Folder::open(&missing, false).expect_err("it is not there");
    assert!(why.contains("name a directory that exists"), "{why}");
    fs::write(&missing, "").expect("written");
    let why = Folder::open(&missing, false).expect_err("it is a file");
    assert!(why.contains("this is no directory"), "{why}");
}
