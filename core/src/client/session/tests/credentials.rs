//! What each attempt is made with.

use super::*;

fn asking() -> SessionConfig {
    let mut config = quiet();
    config.credentials_timeout_ms = Some(3_000);
    config.connection.target = "/ws".to_owned();
    config.connection.headers = vec![
        ("Authorization".to_owned(), "none".to_owned()),
        ("X-App".to_owned(), "7".to_owned()),
    ];
    config
}

fn with_token(token: &str) -> Credentials {
    Credentials {
        headers: vec![("authorization".to_owned(), format!("Bearer {token}"))],
        ..Credentials::default()
    }
}

impl World {
    /// The attempt that asks.
    #[track_caller]
    fn asked(&mut self) -> u64 {
        let told = self.told();
        let [Event::CredentialsWanted { attempt }] = told[..] else {
            panic!("{told:?}");
        };
        attempt
    }

    fn give(&mut self, attempt: u64, credentials: Credentials) {
        self.command(Command::Credentials {
            attempt,
            credentials,
        });
    }

    /// The request of the handshake.
    fn request_head(&mut self) -> String {
        self.connect();
        String::from_utf8(self.received.clone()).expect("text")
    }
}

#[test]
fn each_attempt_is_made_with_what_it_was_given() {
    let mut world = World::new(asking());
    assert_eq!(
        (world.connects, world.session.state()),
        (0, State::Connecting)
    );
    let first = world.asked();
    assert_eq!(first, 1);
    let mut given = with_token("one");
    given.target = Some("/ws?token=one".to_owned());
    given.protocols = vec!["bearer.one".to_owned()];
    assert!(!format!("{given:?}").contains("one"), "{given:?}");
    world.give(first, given);
    let head = world.request_head();
    assert!(head.starts_with("GET /ws?token=one HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nauthorization: Bearer one\r\n"), "{head}");
    assert!(head.contains("\r\nX-App: 7\r\n"), "{head}");
    assert!(!head.contains("none"), "{head}");
    let offered = "\r\nSec-WebSocket-Protocol: roomwire.json.v1, bearer.one\r\n";
    assert!(head.contains(offered), "{head}");
    world.welcome(ME);
    assert_eq!(world.session.state(), State::Open);
    // The next one starts from the beginning.
    world.cut();
    world.told();
    world.pass(1_000);
    assert_eq!((world.states_and_asked(), world.connects), (2, 1));
    world.give(2, with_token("two"));
    let head = world.request_head();
    assert!(head.starts_with("GET /ws HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nauthorization: Bearer two\r\n"), "{head}");
    assert!(!head.contains("bearer.one"), "{head}");
}

impl World {
    /// The attempt that asks, among other news.
    fn states_and_asked(&mut self) -> u64 {
        let asked = |event| match event {
            Event::CredentialsWanted { attempt } => Some(attempt),
            _ => None,
        };
        self.told().into_iter().find_map(asked).expect("it asks")
    }
}

/// An attempt that nobody gives anything has failed, and there is another.
#[test]
fn who_takes_too_long_has_another_attempt() {
    let mut world = World::new(asking());
    assert_eq!(world.asked(), 1);
    world.pass(2_999);
    assert_eq!(world.told(), []);
    world.pass(1);
    let told = world.told();
    assert_eq!(closed(&told)[0].cause, CloseCause::NoCredentials);
    assert_eq!(
        (world.session.state(), world.wait_ms()),
        (State::Waiting, 1_000)
    );
    // What comes now is of yesterday.
    world.give(1, with_token("late"));
    assert_eq!((world.connects, world.session.stats().stale), (0, 1));
    world.pass(1_000);
    assert_eq!(world.states_and_asked(), 2);
    world.give(1, with_token("later"));
    assert_eq!((world.connects, world.session.stats().stale), (0, 2));
    world.give(2, with_token("two"));
    assert_eq!(world.connects, 1);
    // Given once is enough.
    world.give(2, with_token("again"));
    assert_eq!((world.connects, world.session.stats().stale), (1, 3));
    // And from then on it is the server that has to answer.
    world.pass(14_999);
    assert_eq!(world.session.state(), State::Connecting);
    world.pass(1);
    let told = world.told();
    assert_eq!(closed(&told)[0].cause, CloseCause::NoAnswer);
}

/// So many attempts are made, with or without.
#[test]
fn nor_does_it_ask_for_ever() {
    let mut world = World::new(asking());
    world.pass(1_000_000);
    let told = world.told();
    assert_eq!(closed(&told).len(), 6);
    let ended = told.last();
    assert!(
        matches!(ended, Some(Event::Ended(EndCause::TooManyAttempts(_)))),
        "{ended:?}"
    );
    assert_eq!((world.connects, world.deadline), (0, None));
}

#[test]
fn what_cannot_stand_in_a_request_is_an_attempt_that_fails() {
    let header = |name: &str| vec![(name.to_owned(), "secret\r\nX: y".to_owned())];
    let cases = [
        (
            "target",
            Credentials {
                target: Some("no path".to_owned()),
                ..Credentials::default()
            },
        ),
        (
            "headers",
            Credentials {
                headers: header("Authorization"),
                ..Credentials::default()
            },
        ),
        (
            "protocols",
            Credentials {
                protocols: vec!["two words".to_owned()],
                ..Credentials::default()
            },
        ),
    ];
    for (key, credentials) in cases {
        let mut world = World::new(asking());
        world.told();
        world.give(1, credentials);
        let told = world.told();
        let [failed] = closed(&told)[..] else {
            panic!("{told:?}");
        };
        let key = key.to_owned();
        assert_eq!(failed.cause, CloseCause::BadCredentials { key });
        assert!(!format!("{told:?}").contains("secret"));
        assert_eq!((world.connects, world.session.state()), (0, State::Waiting));
    }
}

/// covers A4-11: closed while it asks is closed.
#[test]
fn closed_while_it_asks_is_closed() {
    let mut world = World::new(asking());
    world.text(1, "waits");
    world.told();
    world.command(Command::Close);
    let told = world.told();
    assert_eq!(outcomes(&told), [(1, "Closed".to_owned())]);
    assert_eq!(closed(&told).len(), 1);
    assert_eq!(told.last(), Some(&Event::Ended(EndCause::Command)));
    assert_eq!(world.deadline, None);
    world.give(1, with_token("late"));
    assert_eq!((world.connects, world.told()), (0, vec![]));
}
