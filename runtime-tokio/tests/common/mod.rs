//! A server that runs, for the tests beside this folder. Every wait is bounded.

use std::future::Future;
use std::net::SocketAddr;

use roomwire_runtime::{ListenerSettings, RunError, Settings};
use roomwire_tests::tcp::PATIENCE;
use roomwire_tokio::{Handle, Server};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.expect("it takes too long")
}

/// Defaults at a free port of loopback.
pub(crate) fn settings() -> Settings {
    Settings {
        listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
        ..Settings::default()
    }
}

/// Where a server listens.
pub(crate) fn at(server: &Server) -> SocketAddr {
    let address = server.local_addr().socket_addr();
    address.expect("TCP")
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    pub(crate) fn start(server: Server) -> Self {
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        Self {
            address: at(&server),
            handle: server.handle(),
            stop,
            task: tokio::spawn(server.run(shutdown)),
        }
    }

    /// Ends the server in order.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let outcome = soon(self.task).await.expect("no panic");
        outcome.expect("an orderly end");
    }
}
