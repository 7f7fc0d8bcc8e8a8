//! The scenarios that all servers play alike, on mio.

use roomwire_mio::Server;
use roomwire_runtime::Settings;
use roomwire_tests::stage::sockets::{Setting, Sockets, Started};
use roomwire_tests::stage::{InBinary, play_all};

fn start(settings: &Settings) -> Started {
    let mut server = Server::bind_now(settings).expect("a free port");
    let mut events = server.events();
    let addresses = server.local_addrs().iter().map(|a| a.socket_addr());
    let addresses = addresses.collect::<Option<_>>().expect("TCP");
    let handle = server.handle();
    Started {
        addresses,
        command: Box::new(move |command| handle.command(command).expect("it runs")),
        run: Box::new(|| server.run_blocking()),
        next_event: Box::new(move || events.next()),
    }
}

fn play(threads: u8, tls: bool) {
    play_all(|config| Sockets::new(config, Setting { threads, tls }, start));
}

// covers A12-06
#[test]
fn on_one_thread() {
    play(1, false);
}

// covers A12-06, A9-09
#[test]
fn on_one_thread_with_tls() {
    play(1, true);
}

// covers A12-06, A11-05
#[test]
fn on_three_threads() {
    play(3, false);
}

// covers A12-06, A9-09, A11-05
#[test]
fn on_three_threads_with_tls() {
    play(3, true);
}

// covers A12-06, A5-10
#[test]
fn in_binary_frames_on_three_threads() {
    let setting = Setting {
        threads: 3,
        tls: false,
    };
    play_all(|config| InBinary::new(config, |config| Sockets::new(config, setting, start)));
}
