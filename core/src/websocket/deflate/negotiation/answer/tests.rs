use super::*;
use crate::websocket::handshake::extension::elements;

/// What comes of an answer with these parameters, to an offer that allows the server so many bits.
fn check(server_bits: Option<u8>, parameters: &str) -> Result<Option<u8>, String> {
    let value = format!("permessage-deflate{parameters}");
    let answers = elements(value.as_bytes()).expect("well formed");
    let offer = ClientOffer {
        server_window: server_bits.and_then(Window::from_bits),
    };
    let accepted = offer
        .check(&answers[0])
        .map_err(|error| error.to_string())?;
    Ok(accepted.client_window().map(Window::bits))
}

#[test]
fn the_offer_is_golden() {
    assert_eq!(
        ClientOffer::default().to_string(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
    );
    let offer = ClientOffer {
        server_window: Some(Window::Bits9),
    };
    assert!(offer.to_string().ends_with("; server_max_window_bits=9"));
}

#[test]
fn what_keeps_to_the_offer_is_accepted() {
    for (server_bits, parameters, client_bits) in [
        (None, "; server_no_context_takeover", Some(15)),
        (
            None,
            "; server_no_context_takeover; client_no_context_takeover",
            Some(15),
        ),
        (
            None,
            "; client_max_window_bits=9; server_no_context_takeover",
            Some(9),
        ),
        (
            None,
            "; client_max_window_bits=\"10\"; server_no_context_takeover",
            Some(10),
        ),
        (
            None,
            "; client_max_window_bits=8; server_no_context_takeover",
            None,
        ),
        // A server may say it unasked (section 7.1.2.1), and may take less than it was offered.
        (
            None,
            "; server_no_context_takeover; server_max_window_bits=8",
            Some(15),
        ),
        (
            Some(10),
            "; server_no_context_takeover; server_max_window_bits=10",
            Some(15),
        ),
        (
            Some(10),
            "; server_no_context_takeover; server_max_window_bits=8",
            Some(15),
        ),
    ] {
        assert_eq!(
            check(server_bits, parameters),
            Ok(client_bits),
            "{parameters}"
        );
    }
}

#[test]
fn what_does_not_is_refused() {
    for (server_bits, parameters, error) in [
        (
            None,
            "",
            "expected server_no_context_takeover, as was offered, got an answer without it",
        ),
        (
            None,
            "; client_no_context_takeover",
            "expected server_no_context_takeover, as was offered, got an answer without it",
        ),
        (
            None,
            "; x",
            "expected parameters of permessage-deflate, got \"x\"",
        ),
        (
            None,
            "; Server_no_context_takeover",
            "expected parameters of permessage-deflate, got \"Server_no_context_takeover\"",
        ),
        (
            None,
            "; server_no_context_takeover; server_no_context_takeover",
            "expected server_no_context_takeover once, got it twice",
        ),
        (
            None,
            "; server_max_window_bits=9; server_max_window_bits=9",
            "expected server_max_window_bits once, got it twice",
        ),
        (
            None,
            "; server_no_context_takeover=true",
            "expected server_no_context_takeover without a value, got \"true\"",
        ),
        (
            None,
            "; client_no_context_takeover=1",
            "expected client_no_context_takeover without a value, got \"1\"",
        ),
        (
            None,
            "; client_max_window_bits",
            "expected client_max_window_bits=8 to 15, got none",
        ),
        (
            None,
            "; client_max_window_bits=16",
            "expected client_max_window_bits=8 to 15, got \"16\"",
        ),
        (
            None,
            "; server_max_window_bits=7",
            "expected server_max_window_bits=8 to 15, got \"7\"",
        ),
        (
            None,
            "; server_max_window_bits=09",
            "expected server_max_window_bits=8 to 15, got \"09\"",
        ),
        (
            None,
            "; server_max_window_bits",
            "expected server_max_window_bits=8 to 15, got none",
        ),
        (
            Some(10),
            "; server_no_context_takeover; server_max_window_bits=11",
            "expected server_max_window_bits of at most 10, as was offered, got 11",
        ),
        (
            Some(10),
            "; server_no_context_takeover",
            "expected server_max_window_bits of at most 10, as was offered, got none",
        ),
    ] {
        assert_eq!(
            check(server_bits, parameters),
            Err(error.to_owned()),
            "{parameters}"
        );
    }
}
