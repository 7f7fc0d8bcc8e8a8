//! A client from the first connection to the end: what it asks for, what it hears, and how it comes back.

use super::*;
use roomwire_runtime::client::{CloseCause, Dropped, EndCause, Failed, Refused};

pub(super) fn play<R: Runtime>(start: Start) {
    clients_meet::<R>(start);
    a_server_that_is_killed_is_waited_for::<R>(start);
    what_is_asked_for_without_room_is_refused::<R>(start);
    giving_up_is_told_once::<R>();
    dropping_the_last_handle_closes::<R>(start);
    settings_that_never_work_are_errors_at_once::<R>();
}

fn clients_meet<R: Runtime>(start: Start) {
    let server = free(start);
    let (ada, mut heard) = connect::<R>(settings(server.address));
    let (bob, silence) = connect::<R>(settings(server.address));
    drop(silence);
    let joined = done(ada.join("tea")).expect("an answer");
    assert!(
        matches!(joined.told, Told::JoinedRoom { total: 1, .. }),
        "{joined:?}"
    );
    done(bob.join("tea"));
    let ack = done(bob.say("tea", r#"{"n":1}"#)).expect("an answer");
    assert!(matches!(ack.told, Told::Ack(_)));
    done(bob.say_bytes("tea", &[1, 2]));
    assert_eq!(until(&mut heard, said), r#"{"n":1}"#);
    assert_eq!(until(&mut heard, said), "[1, 2]");
    let to = ada.client_id().expect("an id");
    done(bob.tell(to, "\"psst\""));
    let private = until(&mut heard, |event| match event {
        Event::Message(Message {
            told: Told::PrivateMessage { said, .. },
            ..
        }) => Some(said),
        _ => None,
    });
    assert_eq!(
        (Some(private.from), private.data),
        (bob.client_id(), SaidData::Json("\"psst\"".to_owned()))
    );
    let pong = done(bob.request(r#"{"type":"ping"}"#)).expect("an answer");
    assert!(matches!(pong.told, Told::Pong { .. }), "{pong:?}");
    // What the server refuses is an error with its words.
    let mut refused = bob.say("elsewhere", "1").expect("room");
    let error = refused
        .wait_timeout(PATIENCE)
        .expect("in time")
        .expect_err("no room");
    assert!(matches!(error, Failed::Refused(_)), "{error}");
    assert!(
        error.to_string().starts_with("refused: no_such_room: "),
        "{error}"
    );
    assert_eq!(bob.say("tea", "{").expect_err("no JSON"), Refused::NotJson);
    done(bob.leave("tea"));
    // It closes in order, and for good.
    ada.close();
    ada.close();
    let ended = until(&mut heard, |event| match event {
        Event::Ended(cause) => Some(cause),
        _ => None,
    });
    assert_eq!(ended, EndCause::Command);
    assert!(ada.wait_closed(PATIENCE));
    assert_eq!(heard.recv(), None);
    assert_eq!(ada.state(), State::Closed);
    assert_eq!(ada.join("tea").expect_err("closed"), Refused::Closed);
    (server.kill)();
}

/// The server is cut off and comes back at the same place: rooms are joined again, and what waited goes.
// covers A4-06, A4-07
fn a_server_that_is_killed_is_waited_for<R: Runtime>(start: Start) {
    let server = free(start);
    let address = server.address;
    let (ada, mut heard) = connect::<R>(settings(address));
    let (bob, mut told) = connect::<R>(settings(address));
    done(ada.join("kept"));
    done(bob.join("kept"));
    let before = bob.client_id();
    (server.kill)();
    let closed = until(&mut told, |event| match event {
        Event::Closed(closed) => Some(closed),
        _ => None,
    });
    assert_eq!(closed.code, 1006);
    assert!(closed.reconnect_in.is_some());
    let refused = until(&mut told, |event| match event {
        Event::Closed(closed) if closed.cause == CloseCause::ConnectFailed => Some(closed),
        _ => None,
    });
    assert_eq!(refused.code, 1006);
    let why = bob.last_error().expect("a reason");
    assert!(why.contains("is the server running"), "{why}");
    let mut waits: Vec<_> = (0..10)
        .map(|number| bob.say("kept", &number.to_string()).expect("room"))
        .collect();
    assert!(waits[9].wait_timeout(Duration::from_millis(20)).is_none());
    assert!(waits.iter().all(|receipt| receipt.is_queued()));
    let server = serve(start, address);
    for mut receipt in waits {
        let outcome = receipt.wait_timeout(PATIENCE).expect("an outcome in time");
        let told = outcome.expect("said").expect("an answer").told;
        assert!(matches!(told, Told::Ack(_)), "{told:?}");
    }
    assert_ne!(bob.client_id(), before);
    let heard: Vec<_> = (0..10).map(|_| until(&mut heard, said)).collect();
    let all: Vec<_> = (0..10).map(|number: u32| number.to_string()).collect();
    // The room keeps what was said before the other was back; nothing comes twice, or out of order.
    assert_eq!(heard, all);
    (server.kill)();
}

/// Whoever does not read is told of it before anything grows: first the server is not read, then nothing is taken.
fn what_is_asked_for_without_room_is_refused<R: Runtime>(start: Start) {
    let server = free(start);
    let mut settings = settings(server.address);
    settings.max_waiting_events = 1;
    settings.session.max_queued_events = 1;
    settings.session.queue_messages = 10;
    let (client, mut events) = connect::<R>(settings);
    // The events of the first connection wait, and nobody takes them.
    let mut receipts = Vec::new();
    let refused = loop {
        match client.request(r#"{"type":"ping"}"#) {
            Ok(receipt) => receipts.push(receipt),
            Err(refused) => break refused,
        }
        assert!(receipts.len() < 10_000, "everything is taken");
        if receipts.len() < 1_100 {
            thread::sleep(Duration::from_micros(50));
        }
    };
    assert_eq!(refused, Refused::Full);
    drop(receipts.split_off(5));
    // Once they are taken, it goes on: what was handed in has its one outcome each, here or there.
    let items: Vec<_> = receipts.iter().map(|receipt| receipt.item()).collect();
    let mut seen = std::collections::BTreeMap::new();
    let mut last = client.request(r#"{"type":"ping"}"#);
    while last.is_err() {
        let event = events.recv_timeout(PATIENCE).expect("an event");
        count(&mut seen, event);
        last = client.request(r#"{"type":"ping"}"#);
    }
    let last = last.expect("room").item();
    while !seen.contains_key(&last) {
        let event = events.recv_timeout(PATIENCE).expect("an event");
        count(&mut seen, event);
    }
    for mut receipt in receipts {
        let end = Instant::now() + PATIENCE;
        while receipt.wait_timeout(Duration::from_millis(1)).is_none() {
            assert!(Instant::now() < end, "it has no outcome");
            if let Ok(event) = events.try_recv() {
                count(&mut seen, event);
            }
        }
    }
    assert!(
        items.iter().all(|item| !seen.contains_key(item)),
        "told twice"
    );
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
    assert!(seen.len() > 1_000, "{} outcomes", seen.len());
    (server.kill)();
}

fn count(seen: &mut std::collections::BTreeMap<roomwire_runtime::client::Item, u32>, event: Event) {
    if let Event::Outcome { item, .. } = event {
        *seen.entry(item).or_default() += 1;
    }
}

fn giving_up_is_told_once<R: Runtime>() {
    // Nobody listens there, as somebody else has the port.
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = held.local_addr().expect("an address");
    drop(held);
    let mut settings = settings(address);
    settings.session.max_reconnect_attempts = Some(2);
    let (client, events) = connect::<R>(settings);
    let mut waits = client.join("tea").expect("room");
    let ends = events.filter(|event| matches!(event, Event::Ended(_)));
    let ends: Vec<_> = ends.collect();
    assert!(
        matches!(&ends[..], [Event::Ended(EndCause::TooManyAttempts(_))]),
        "{ends:?}"
    );
    let outcome = waits.wait_timeout(PATIENCE).expect("an outcome");
    assert_eq!(outcome, Err(Failed::Dropped(Dropped::Closed)));
    assert!(client.wait_closed(PATIENCE));
}

fn dropping_the_last_handle_closes<R: Runtime>(start: Start) {
    let server = free(start);
    let (client, events) = connect::<R>(settings(server.address));
    let other = client.clone();
    done(client.join("tea"));
    drop(client);
    done(other.say("tea", "1"));
    drop(other);
    let last = events.last();
    assert_eq!(last, Some(Event::Ended(EndCause::Command)));
    (server.kill)();
}

// covers A4-12
fn settings_that_never_work_are_errors_at_once<R: Runtime>() {
    for url in [
        "http://localhost/",
        "ws://",
        "ws://a b/",
        "ws://user@localhost/",
    ] {
        let error = ClientSettings::new(url).expect_err(url);
        assert_eq!(error.key, "url");
    }
    let settings = ClientSettings::new("ws://localhost/").expect("a URL");
    let wrong = |change: fn(&mut ClientSettings)| {
        let mut settings = settings.clone();
        change(&mut settings);
        let error = Client::<R>::connect(settings).expect_err("an error");
        error.to_string()
    };
    let error = wrong(|it| it.session.connection.target = "nowhere".to_owned());
    assert!(error.contains("target"), "{error}");
    let error = wrong(|it| it.session.max_in_flight = 0);
    assert!(error.contains("max_in_flight"), "{error}");
    let error = wrong(|it| it.max_waiting_events = 0);
    assert!(error.contains("max_waiting_events"), "{error}");
    for proxy in [
        "https://localhost:1",
        "localhost:1",
        "http://a%2@b",
        "http://a/b@c",
        "http://h/p",
    ] {
        proxy
            .parse::<roomwire_runtime::client::Proxy>()
            .expect_err(proxy);
    }
    let mut settings = ClientSettings::new("wss://localhost/").expect("a URL");
    settings.roots = roomwire_runtime::client::Roots::Files(vec!["/nowhere.pem".into()]);
    let error = Client::<R>::connect(settings.clone()).expect_err("no file");
    assert!(
        error.to_string().contains("/nowhere.pem: cannot be read"),
        "{error}"
    );
    settings.roots = roomwire_runtime::client::Roots::Pem(b"nothing".to_vec());
    let error = Client::<R>::connect(settings).expect_err("no certificate");
    assert!(
        error.to_string().contains("no certificate in PEM"),
        "{error}"
    );
}
