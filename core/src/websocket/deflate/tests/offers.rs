//! Which offers are accepted, and how they are answered.

use crate::http::{HeadLimits, Parsed, RequestHead};
use crate::websocket::deflate::Window;
use crate::websocket::deflate::negotiation::{Agreement, accept};
use crate::websocket::handshake::extension::Offers;

/// What is agreed on with a client whose fields have these values.
fn agreed(values: &[&str]) -> Option<Agreement> {
    let mut request = "GET / HTTP/1.1\r\nHost: a\r\n".to_owned();
    for value in values {
        request.push_str(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
    }
    request.push_str("\r\n");
    let limits = HeadLimits {
        max_bytes: 16 * 1024,
        max_headers: 64,
    };
    match RequestHead::parse(request.as_bytes(), &limits, &mut 0) {
        Ok(Parsed::Complete { head, .. }) => accept(Offers::of(&head).expect("well-formed offers")),
        other => panic!("{request}: {other:?}"),
    }
}

const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
fn accepted() {
    let cases = [
        ("permessage-deflate", "", 15),
        ("permessage-deflate; server_no_context_takeover", "", 15),
        ("permessage-deflate; client_no_context_takeover", "", 15),
        // What browsers send.
        ("permessage-deflate; client_max_window_bits", "", 15),
        (
            "permessage-deflate; client_max_window_bits=8",
            "; client_max_window_bits=8",
            15,
        ),
        (
            "permessage-deflate; client_max_window_bits=9",
            "; client_max_window_bits=9",
            15,
        ),
        (
            "permessage-deflate; client_max_window_bits=15",
            "; client_max_window_bits=15",
            15,
        ),
        (
            "permessage-deflate; server_max_window_bits=9",
            "; server_max_window_bits=9",
            9,
        ),
        (
            "permessage-deflate; server_max_window_bits=10",
            "; server_max_window_bits=10",
            10,
        ),
        (
            "permessage-deflate; server_max_window_bits=11",
            "; server_max_window_bits=11",
            11,
        ),
        (
            "permessage-deflate; server_max_window_bits=12",
            "; server_max_window_bits=12",
            12,
        ),
        (
            "permessage-deflate; server_max_window_bits=13",
            "; server_max_window_bits=13",
            13,
        ),
        (
            "permessage-deflate; server_max_window_bits=14",
            "; server_max_window_bits=14",
            14,
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            "; server_max_window_bits=15",
            15,
        ),
        // A value may be quoted (section 5.2 of RFC 7692 shows it).
        (
            "permessage-deflate; server_max_window_bits=\"10\"",
            "; server_max_window_bits=10",
            10,
        ),
        (
            "permessage-deflate ;client_max_window_bits=12;\tserver_max_window_bits = 13 ; \
             client_no_context_takeover; server_no_context_takeover",
            "; server_max_window_bits=13; client_max_window_bits=12",
            13,
        ),
    ];
    for (offer, answer, window) in cases {
        let agreement = agreed(&[offer]);
        let told = agreement.map(|agreement| agreement.to_string());
        assert_eq!(told, Some(format!("{ANSWER}{answer}")), "{offer}");
        let found = agreement.map(|agreement| agreement.server_window().bits());
        assert_eq!(found, Some(window), "{offer}");
    }
}

#[test]
fn declined() {
    let parameters = [
        // Not to be answered with 9: a client that asks for 8 cannot inflate more.
        "server_max_window_bits=8",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=0",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=09",
        "server_max_window_bits=+9",
        "server_max_window_bits=-9",
        "server_max_window_bits=1",
        "server_max_window_bits=1000000000000000000000",
        "server_max_window_bits=0x9",
        "server_max_window_bits=nine",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=08",
        "client_max_window_bits=115",
        "client_max_window_bits=a",
        "server_no_context_takeover=1",
        "server_no_context_takeover=true",
        "client_no_context_takeover=0",
        "client_no_context_takeover=\"\\1\"",
        "unknown",
        "unknown=1",
        "no_context_takeover",
        "SERVER_NO_CONTEXT_TAKEOVER",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=11",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "client_max_window_bits=10; client_max_window_bits",
        "client_no_context_takeover; unknown",
    ];
    for parameters in parameters {
        let offer = format!("permessage-deflate; {parameters}");
        assert_eq!(agreed(&[&offer]), None, "{offer}");
        // The next one counts, in the same field and in another.
        let both = format!("{offer}, permessage-deflate; server_max_window_bits=11");
        for values in [
            &[&*both][..],
            &[&*offer, "permessage-deflate; server_max_window_bits=11"],
        ] {
            let window = agreed(values).map(|agreement| agreement.server_window());
            assert_eq!(window, Some(Window::Bits11), "{values:?}");
        }
    }
    for other in [
        "x-webkit-deflate-frame",
        "permessage-bzip2",
        "mux; a=b",
        "PerMessage-Deflate",
    ] {
        assert_eq!(agreed(&[other]), None, "{other}");
    }
    assert_eq!(agreed(&[]), None);
}

#[test]
fn the_first_offer_that_can_be_is_accepted() {
    let cases: [(&[&str], u8); 6] = [
        (
            &["permessage-deflate; server_max_window_bits=9, permessage-deflate"],
            9,
        ),
        (
            &["permessage-deflate, permessage-deflate; server_max_window_bits=9"],
            15,
        ),
        (
            &[
                "permessage-deflate; server_max_window_bits=8, mux",
                "permessage-deflate; server_max_window_bits=12",
            ],
            12,
        ),
        (&["mux, permessage-deflate; server_max_window_bits=10"], 10),
        (
            &["mux", ",, permessage-deflate; server_max_window_bits=14 ,"],
            14,
        ),
        // Autobahn's 13.7.
        (
            &[
                "permessage-deflate; server_no_context_takeover; client_max_window_bits; server_max_window_bits=9, \
               permessage-deflate; server_no_context_takeover; client_max_window_bits, \
               permessage-deflate; client_max_window_bits",
            ],
            9,
        ),
    ];
    for (values, window) in cases {
        let found = agreed(values).map(|agreement| agreement.server_window().bits());
        assert_eq!(found, Some(window), "{values:?}");
    }
}

#[test]
fn windows_and_bits_are_the_same() {
    let known = (0..=u8::MAX).filter_map(Window::from_bits);
    assert_eq!(known.collect::<Vec<_>>(), Window::ALL);
    assert_eq!(Window::ALL.map(Window::bits), [9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(Window::ALL.map(Window::index), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(size_of::<Option<Window>>(), 1);
}
