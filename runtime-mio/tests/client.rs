//! Clients on mio, against a server on mio.

use std::thread;

use roomwire_mio::{Mio, Server};
use roomwire_runtime::Settings;
use roomwire_tests::clients::{Running, play_all};

fn start(settings: Settings) -> Running {
    let server = Server::bind_now(&settings).expect("a free port");
    let address = server.local_addr().socket_addr().expect("TCP");
    let handle = server.handle();
    let thread = thread::spawn(|| server.run_blocking());
    let kill = Box::new(move || {
        handle.abort();
        thread.join().expect("no panic").expect("an orderly end");
    });
    Running { address, kill }
}

// covers A4-06, A4-07, A4-12, A4-16, A13-04, A13-16
#[test]
fn what_all_clients_do() {
    play_all::<Mio>(start);
}
