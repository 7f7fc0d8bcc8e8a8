//! Sessions that go from one server on tokio to another.

mod common;

use std::sync::Arc;

use common::{Running, settings, soon};
use roomwire_core::config::SessionKey;
use roomwire_core::server::{Command, Event};
use roomwire_mio::Mio;
use roomwire_runtime::{ListenerSettings, MemoryStore, RunError, Settings};
use roomwire_tests::moves::{play_all, play_alone, play_taking, start};
use roomwire_tests::tcp::Client;
use roomwire_tokio::{Server, Tokio};
use serde_json::json;

#[test]
fn sessions_go_from_one_thread_to_another() {
    play_all(start::<Tokio>, start::<Tokio>, 1);
}

#[test]
fn sessions_go_from_many_threads_to_many() {
    play_all(start::<Tokio>, start::<Tokio>, 3);
}

#[test]
fn without_a_store_nobody_waits() {
    play_alone(start::<Tokio>);
}

#[test]
fn a_program_takes_sessions_itself() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    play_taking::<Tokio>(|handle, client| runtime.block_on(handle.take_session(client, u64::MAX)));
}

#[test]
fn sessions_go_from_one_kind_of_server_to_another() {
    play_all(start::<Tokio>, start::<Mio>, 2);
    play_all(start::<Mio>, start::<Tokio>, 1);
}

/// A program that takes events, and has no store, carries sessions itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_carries_what_is_wanted() {
    for threads in [1, 3] {
        let mut settings = settings();
        settings.threads = threads;
        settings.core.sessions.key = Some(SessionKey([7; 32]));
        let here = Running::start(Server::bind(settings.clone()).await.expect("a free port"));
        let mut server = Server::bind(settings).await.expect("a free port");
        let mut events = server.events();
        let there = Running::start(server);
        let (from, to) = (here.handle.clone(), there.handle.clone());
        let carried = tokio::spawn(async move {
            let mut carried = 0;
            while let Some(event) = events.recv().await {
                if let Event::SessionWanted {
                    shard,
                    client,
                    asked_ms,
                } = event
                {
                    let session = from.take_session(client, asked_ms).await.expect("it runs");
                    let give = Command::GiveSession {
                        shard,
                        client,
                        asked_ms,
                        session,
                    };
                    to.command(give).await.expect("it runs");
                    carried += 1;
                }
            }
            carried
        });
        let (one, other) = (here.address, there.address);
        let go = move || {
            let mut ada = Client::connect(one);
            ada.send(&json!({"type": "resume"}));
            let session = ada.expect("session");
            let mut back = Client::connect(other);
            back.send(&json!({
                "type": "resume",
                "clientId": ada.id,
                "sessionSecret": session["sessionSecret"],
            }));
            assert_eq!(back.expect("session")["resumed"], true);
            assert_eq!(ada.expect("closing")["code"], 4409);
        };
        let gone = soon(tokio::task::spawn_blocking(go)).await;
        gone.expect("no panic");
        here.stop().await;
        there.stop().await;
        assert_eq!(soon(carried).await.expect("no panic"), 1);
    }
}

#[test]
fn a_store_that_would_never_be_asked_is_an_error() {
    let settings = Settings {
        listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
        ..Settings::default()
    };
    let mut server = Server::bind_now(&settings).expect("a free port");
    let error = server.sessions(Arc::new(MemoryStore::new(1)));
    let Err(RunError::Config(error)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.key, "sessions.key");
    let text = error.to_string();
    assert!(text.contains("openssl rand -hex 32"), "{text}");
}
