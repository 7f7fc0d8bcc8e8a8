use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use roomwire_core::replay::{Progress, Replayer};
use roomwire_core::{Config, ListenerId, Machine as _, Now, PeerAddr};

use super::*;

fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("roomwire-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

fn at(path: &Path) -> RecordSettings {
    RecordSettings {
        file: Some(path.to_owned()),
        ..RecordSettings::default()
    }
}

#[test]
fn what_was_recorded_can_be_done_again_and_is_for_its_owner_alone() {
    let path = path("recording");
    let recording = Recording::create(&at(&path))
        .expect("created")
        .expect("asked for");
    let config = Config::default().validate().expect("valid");
    let served = recording.run(config, [1; 32], |mut recorder| {
        recorder.accept(Now::default(), PeerAddr::Local, ListenerId(0))
    });
    assert!(served.is_some());
    let mode = std::fs::metadata(&path)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut replayer = Replayer::new();
    replayer.feed(&std::fs::read(&path).expect("readable"));
    assert!(matches!(replayer.step(), Ok(Progress::Step(_))));
    assert_eq!(replayer.step(), Ok(Progress::End(Ending::Closed)));
    // What an earlier run recorded is not written over.
    assert!(matches!(
        Recording::create(&at(&path)),
        Err(RunError::Io { .. })
    ));
    std::fs::remove_file(&path).expect("there");
}

#[test]
fn a_full_disk_ends_the_recording() {
    let full = PathBuf::from("/dev/full");
    let file = OpenOptions::new().write(true).open(full);
    let Ok(file) = file else { return }; // only Linux has one
    let (sender, receiver) = sync_channel(WAITING);
    let shared = Arc::new(Shared::default());
    let mut sink = FileSink {
        sender,
        shared: Arc::clone(&shared),
    };
    assert!(sink.take(b"some"));
    write(&file, &receiver, &shared);
    assert!(!sink.take(b"more"));
    sink.end(b"the end", Ending::Refused);
}

#[test]
fn a_slow_disk_ends_the_recording_and_the_end_still_fits() {
    let (sender, receiver) = sync_channel(WAITING);
    let mut sink = FileSink {
        sender,
        shared: Arc::default(),
    };
    let taken = (0..WAITING).take_while(|_| sink.take(b"x")).count();
    assert_eq!(taken + 2, WAITING);
    sink.end(b"y", Ending::Refused);
    drop(sink);
    assert_eq!(receiver.iter().last(), Some(b"y".to_vec()));
}
