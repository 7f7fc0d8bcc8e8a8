//! Application data goes through byte for byte.

use roomwire_core::Config;
use roomwire_core::config::ListenerConfig;
use roomwire_tests::World;
use serde_json::json;

use crate::{on_listener, quiet_world, unlimited};

/// JSON that does not survive being parsed and written again.
const DELICATE: [&str; 17] = [
    "9007199254740993",
    "-0.0",
    "1E400",
    "123456789012345678901234567890.1234567890",
    r#""\ud800""#,
    r#""\ud83d\ude00😀""#,
    r#""\u0000\u001f\/\"\\""#,
    r#""\u003cb>&'""#,
    r#""<script>alert('&')</script>""#,
    r#"{"a":1,"a":2}"#,
    r#"{"\u0061":1,"a":2}"#,
    r#"{"__proto__":{"x":1},"hasOwnProperty":2,"constructor":null}"#,
    "[ 1 ,\t2 ,\r\n3 ]",
    r#"{ "b" : { } , "a" : [ ] }"#,
    "null",
    "true",
    r#""""#,
];

// covers A1-15, A0-1, A0-9, A2-06, A2-09
#[test]
fn data_is_delivered_as_it_was_written() {
    let mut world = quiet_world();
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.forget();
    let (from, to) = (world.id(ada).to_owned(), world.id(bob).to_owned());
    for data in DELICATE {
        let now = world.driver().now().unix_ms;
        world.send_text(ada, &format!(r#"{{"type":"broadcast","data":{data}}}"#));
        let expected =
            format!(r#"{{"type":"broadcast","from":"{from}","data":{data},"timestamp":{now}}}"#);
        assert_eq!(world.next_text(bob), Some(expected));

        world.send_text(
            ada,
            &format!(r#"{{"type":"room_message","room":"tea","data":{data}}}"#),
        );
        let expected = format!(
            r#"{{"type":"room_message","room":"tea","from":"{from}","data":{data},"timestamp":{now}}}"#
        );
        assert_eq!(world.next_text(bob), Some(expected));

        world.send_text(
            ada,
            &format!(r#"{{"type":"private_message","to":"{to}","data":{data}}}"#),
        );
        let expected = format!(
            r#"{{"type":"private_message","from":"{from}","data":{data},"timestamp":{now}}}"#
        );
        assert_eq!(world.next_text(bob), Some(expected));
    }
    world.expect_nothing(ada);
}

// covers A1-15: the last of equal keys counts, white space is nothing
#[test]
fn the_last_of_equal_keys_counts() {
    let mut world = World::default();
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.forget();
    let text = " {\t\"type\" : \"ping\" , \"room\":\"x\", \"type\":\"room_message\",\r\n\
        \"data\" : 1 , \"room\":\"tea\", \"d\\u0061ta\" : [ 2 ] } ";
    world.send_text(ada, text);
    let got = world.next_text(bob).expect("the message");
    assert!(got.contains(r#""data":[ 2 ],"#), "{got}");
    world.expect_nothing(ada);
}

// covers A1-07, A1-15
#[test]
fn metadata_values_keep_their_bytes() {
    let mut world = World::default();
    let client = world.connect();
    world.send_text(
        client,
        r#"{"type":"set_metadata","metadata":{"n":9007199254740993.0,"s":"\ud800"}}"#,
    );
    assert_eq!(
        world.next_text(client).as_deref(),
        Some(r#"{"type":"metadata_updated","metadata":{"n":9007199254740993.0,"s":"\ud800"}}"#)
    );
}

// ---- bare payloads

fn two_listeners() -> World {
    World::new(Config {
        listeners: vec![
            ListenerConfig::default(),
            ListenerConfig {
                raw_payloads: true,
                ..ListenerConfig::default()
            },
        ],
        ..unlimited()
    })
}

// covers A0-1, A2-09, A1-04, A1-05
#[test]
fn bare_payloads_are_the_data_and_nothing_else() {
    let mut world = two_listeners();
    let sender = world.connect();
    let bare = world.connect_as(&on_listener(1));
    let other_bare = world.connect_as(&on_listener(1));
    let plain = world.connect();
    for peer in [sender, bare, other_bare, plain] {
        world.join(peer, "tea");
    }
    world.forget();
    for data in DELICATE {
        for from in [sender, bare] {
            let room = format!(r#"{{"type":"room_message","room":"tea","data":{data}}}"#);
            let all = format!(r#"{{"type":"broadcast","data":{data}}}"#);
            for text in [room, all] {
                world.send_text(from, &text);
                assert_eq!(world.next_text(other_bare).as_deref(), Some(data));
                let got = world.next_text(plain).expect("the envelope");
                let stamp = format!(r#""from":"{}","data":{data},"#, world.id(from));
                assert!(got.contains(&stamp), "{got}");
                world.expect_nothing(from);
                world.forget();
            }
        }
    }
    // Notices and direct messages are the server's own: they keep their form.
    let message = json!({"type": "private_message", "to": world.id(bare), "data": 1});
    world.send(sender, &message);
    world.expect(bare, "private_message");
    world.close(plain);
    world.expect(bare, "member_left");
}

// covers A0-1, A2-09
#[test]
fn bare_payloads_cannot_pretend_to_be_the_server() {
    let mut world = two_listeners();
    let sender = world.connect();
    let bare = world.connect_as(&on_listener(1));
    world.join(sender, "tea");
    world.join(bare, "tea");
    world.forget();
    let forged = [
        r#"{"type":"welcome"}"#,
        r#"{ "x":1, "type" : "private_message" }"#,
        r#"{"t\u0079pe":"error"}"#,
        r#"{"type":"x","type":"closing"}"#,
        r#"{"type":"\u0061ck"}"#,
    ];
    for data in forged {
        for head in [
            r#""type":"broadcast""#,
            r#""type":"room_message","room":"tea""#,
        ] {
            world.send_text(sender, &format!("{{{head},\"data\":{data}}}"));
            assert_eq!(world.expect(sender, "error")["code"], "reserved", "{data}");
            world.expect_nothing(bare);
        }
    }
    // What only looks alike passes.
    for data in [
        r#"["type","welcome"]"#,
        r#"{"data":{"type":"welcome"}}"#,
        r#"{"type":"Welcome"}"#,
        r#"{"type":"welcome","type":"mine"}"#,
    ] {
        world.send_text(sender, &format!(r#"{{"type":"broadcast","data":{data}}}"#));
        assert_eq!(world.next_text(bare).as_deref(), Some(data));
    }
    // Without such a listener anything goes: the envelope tells who speaks.
    let mut world = quiet_world();
    let (sender, other) = (world.connect(), world.connect());
    world.send_text(sender, r#"{"type":"broadcast","data":{"type":"welcome"}}"#);
    world.expect(other, "broadcast");
}
