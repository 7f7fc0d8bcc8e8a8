//! Offers of extensions as a server reads them, and answers as a client does (RFC 6455 section 9.1, RFC 7692).
//!
//! Promises: a server agrees to the first offer that it can, and to nothing else; its answer has only what the offer
//! allows; the client that made such an offer takes it, and takes no answer that breaks a rule. What is right is found
//! out by a reader of its own, as plain as the grammar.

use roomwire_core::http::{HeadLimits, Parsed, RequestHead};
use roomwire_core::websocket::deflate::Window;
use roomwire_core::websocket::deflate::negotiation::{Agreement, ClientOffer, accept};
use roomwire_core::websocket::handshake::{self, extension::Offers};

use crate::input::Choices;

/// What a client offers, then the fields of a header, one in each line: they are read as offers and as answers.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let offer = ClientOffer {
        server_window: Window::ALL.get(choices.below(9)).copied(),
    };
    check_own_offer(offer);
    let fields: Vec<&[u8]> = choices.rest().split(|&byte| byte == b'\n').collect();
    let Some(head) = request(&fields) else {
        return; // no header field at all
    };
    with_head(&head, |head| {
        let read = read_fields(&fields);
        check_offers(head, read.as_deref());
        let (Ok(offers), Some(read)) = (Offers::of(head), read) else {
            return;
        };
        let pairs = offers.zip(&read);
        pairs.for_each(|(answer, read)| check_answer(offer, &answer, read));
    });
}

/// A request with these fields; `None` where HTTP does not have such.
fn request(fields: &[&[u8]]) -> Option<Vec<u8>> {
    let visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        .to_vec();
    if fields.len() > MOST_FIELDS || !fields.iter().all(|field| field.iter().all(visible)) {
        return None;
    }
    for field in fields {
        head.extend_from_slice(b"Sec-WebSocket-Extensions: ");
        head.extend_from_slice(field);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    Some(head)
}

const MOST_FIELDS: usize = 20;

fn with_head(bytes: &[u8], then: impl FnOnce(&RequestHead<'_>)) {
    let limits = HeadLimits {
        max_bytes: bytes.len() + 1,
        max_headers: 64,
    };
    match RequestHead::parse(bytes, &limits, &mut 0) {
        Ok(Parsed::Complete { head, .. }) => then(&head),
        other => panic!("{other:?}"),
    }
}

/// What this client offers is accepted, and it takes the answer.
fn check_own_offer(offer: ClientOffer) {
    let text = offer.to_string();
    let head = request(&[text.as_bytes()]).expect("plain text");
    with_head(&head, |head| {
        let agreement = agreed(head).expect("its own offer");
        assert_eq!(
            agreement.server_window(),
            offer.server_window.unwrap_or(Window::MAX)
        );
        check_taken(offer, &agreement.to_string());
    });
}

/// What a server agrees to, if the handshake is one at all.
fn agreed(head: &RequestHead<'_>) -> Option<Agreement> {
    handshake::check(head, &[], true).ok()?.deflate()
}

/// The client takes that answer; what it may compress with is what the answer says.
fn check_taken(offer: ClientOffer, answer: &str) {
    let head = request(&[answer.as_bytes()]).expect("plain text");
    with_head(&head, |head| {
        let mut answers = Offers::of(head).expect("the grammar");
        let accepted = offer.check(&answers.next().expect("an answer"));
        let accepted = accepted.expect("it was offered");
        let bits = answer.split("client_max_window_bits=").nth(1);
        let bits = bits.map_or(15, |bits| bits.parse().expect("a number"));
        assert_eq!(accepted.client_window(), Window::from_bits(bits));
        assert!(answers.next().is_none());
    });
}

/// The server refuses what is malformed, and agrees to the first offer that this reader finds acceptable.
fn check_offers(head: &RequestHead<'_>, read: Option<&[Element]>) {
    assert_eq!(Offers::of(head).is_ok(), read.is_some(), "the grammar");
    let outcome = handshake::check(head, &[], true);
    assert_eq!(outcome.is_ok(), read.is_some());
    // A server without compression declines, and finds the same malformed.
    let without = handshake::check(head, &[], false);
    assert_eq!(without.is_ok(), read.is_some());
    assert!(without.is_ok_and(|upgrade| upgrade.deflate().is_none()) || read.is_none());
    let (Ok(upgrade), Some(read)) = (outcome, read) else {
        return;
    };
    let offers: Vec<_> = Offers::of(head).expect("the grammar").collect();
    assert_eq!(offers.len(), read.len());
    for (offer, read) in offers.iter().zip(read) {
        let parameters = offer.parameters();
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.map(String::from)));
        assert_eq!(
            (offer.name(), parameters.collect()),
            (&*read.name, read.parameters.clone())
        );
    }
    assert_eq!(accept(offers), upgrade.deflate());
    let first = read.iter().find_map(Terms::of_offer);
    let fields: Vec<_> = upgrade.headers().collect();
    let answer = fields
        .iter()
        .find(|(name, _)| *name == "Sec-WebSocket-Extensions");
    match (first, answer, upgrade.deflate()) {
        (None, None, None) => {}
        (Some(terms), Some((_, answer)), Some(agreement)) => {
            assert_eq!(agreement.to_string(), *answer);
            terms.check_answer(answer, agreement);
        }
        other => panic!("{other:?}"),
    }
}

/// What an offer asks for.
#[derive(Debug)]
struct Terms {
    /// How far back the server may refer.
    server_bits: Option<u8>,
    /// Whether the client would take a window, and the largest that it uses anyway.
    client_bits: Option<Option<u8>>,
}

impl Terms {
    /// `None`: to be declined (RFC 7692 section 7.1).
    fn of_offer(offer: &Element) -> Option<Self> {
        if offer.name != "permessage-deflate" {
            return None;
        }
        let mut names: Vec<&str> = offer.parameters.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let mut terms = Self {
            server_bits: None,
            client_bits: None,
        };
        for (name, value) in &offer.parameters {
            match (&**name, value.as_deref()) {
                ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
                // Nobody compresses for 8 bits, so that this cannot be promised.
                ("server_max_window_bits", Some("8")) => return None,
                ("server_max_window_bits", Some(value)) => terms.server_bits = Some(bits(value)?),
                ("client_max_window_bits", None) => terms.client_bits = Some(None),
                ("client_max_window_bits", Some(value)) => {
                    terms.client_bits = Some(Some(bits(value)?));
                }
                _ => return None,
            }
        }
        Some(terms)
    }

    /// The answer to this offer has only what RFC 7692 allows, and promises what this product does: to forget.
    fn check_answer(&self, answer: &str, agreement: Agreement) {
        let read = read_fields(&[answer.as_bytes()]).expect("the grammar");
        let [answered] = &*read else {
            panic!("{read:?}");
        };
        assert_eq!(answered.name, "permessage-deflate");
        let value = |name: &str| {
            let mut of_name = answered.parameters.iter().filter(|(of, _)| of == name);
            let value = of_name.next().map(|(_, value)| value.clone());
            assert!(of_name.next().is_none(), "{answer}");
            value
        };
        assert_eq!(value("server_no_context_takeover"), Some(None));
        assert_eq!(value("client_no_context_takeover"), Some(None));
        // 7.1.2.1: must be there if it was offered, no larger.
        let server = value("server_max_window_bits");
        let server = server.map(|value| bits(&value.expect("a size")).expect("8 to 15"));
        assert!(
            self.server_bits
                .is_none_or(|most| server.is_some_and(|bits| bits <= most))
        );
        assert_eq!(server.unwrap_or(15), agreement.server_window().bits());
        // 7.1.2.2: must not be there unless it was offered, and is no larger.
        let client = value("client_max_window_bits");
        let client = client.map(|value| bits(&value.expect("a size")).expect("8 to 15"));
        match (self.client_bits, client) {
            (_, None) => {}
            (None, Some(_)) => panic!("not offered: {answer}"),
            (Some(most), Some(bits)) => assert!(most.is_none_or(|most| bits <= most)),
        }
        let known = 2 + usize::from(server.is_some()) + usize::from(client.is_some());
        assert_eq!(answered.parameters.len(), known);
        // A client that offered the same window takes it: it lets the server choose its own.
        let window = self.server_bits.and_then(Window::from_bits);
        check_taken(
            ClientOffer {
                server_window: window,
            },
            answer,
        );
    }
}

/// What the client takes for an answer to its offer is what this reader finds to be one.
fn check_answer(offer: ClientOffer, answer: &handshake::extension::Offer<'_>, read: &Element) {
    let outcome = offer.check(answer);
    let expected = expected_answer(offer, read);
    match (&outcome, expected) {
        (Ok(accepted), Some(client_bits)) => {
            let window = client_bits.map_or(Some(Window::MAX), Window::from_bits);
            assert_eq!(accepted.client_window(), window);
        }
        (Err(error), None) => assert!(error.to_string().len() < 600),
        other => panic!("{other:?} to {read:?}"),
    }
}

/// The client's window, if it is given; outer `None`: the answer breaks a rule, or does not do for this product.
fn expected_answer(offer: ClientOffer, answer: &Element) -> Option<Option<u8>> {
    let (mut forgets, mut server, mut client) = (false, None, None);
    let mut seen = Vec::new();
    for (name, value) in &answer.parameters {
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        match (&**name, value.as_deref()) {
            ("server_no_context_takeover", None) => forgets = true,
            ("client_no_context_takeover", None) => {}
            ("server_max_window_bits", Some(value)) => server = Some(bits(value)?),
            ("client_max_window_bits", Some(value)) => client = Some(bits(value)?),
            _ => return None,
        }
    }
    let most = offer.server_window.map(Window::bits);
    let within = most.is_none_or(|most| server.is_some_and(|bits| bits <= most));
    (forgets && within).then_some(client)
}

/// Those that there are, without leading zeros.
fn bits(value: &str) -> Option<u8> {
    let number: u8 = value.parse().ok()?;
    let plain = (8..=15).contains(&number) && number.to_string() == value;
    plain.then_some(number)
}

/// One extension with its parameters.
#[derive(Debug, PartialEq)]
struct Element {
    name: String,
    parameters: Vec<(String, Option<String>)>,
}

/// A part of a field (RFC 9110 section 5.6): what is between them is white space.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Token(String),
    Quoted(String),
    Sign(u8),
}

/// All elements of all fields; `None` if one is malformed, or names none (RFC 6455 section 9.1).
fn read_fields(fields: &[&[u8]]) -> Option<Vec<Element>> {
    let mut all = Vec::new();
    for field in fields {
        let parts = parts(field)?;
        let elements = parts.split(|part| *part == Part::Sign(b','));
        let mut elements = elements.filter(|parts| !parts.is_empty()).peekable();
        elements.peek()?;
        for element in elements {
            all.push(read_element(element)?);
        }
    }
    Some(all)
}

fn read_element(parts: &[Part]) -> Option<Element> {
    let mut pieces = parts.split(|part| *part == Part::Sign(b';'));
    let [Part::Token(name)] = pieces.next()? else {
        return None;
    };
    let parameters = pieces.map(|piece| match piece {
        [Part::Token(name)] => Some((name.clone(), None)),
        [
            Part::Token(name),
            Part::Sign(b'='),
            Part::Token(value) | Part::Quoted(value),
        ] => Some((name.clone(), Some(value.clone()))),
        _ => None,
    });
    Some(Element {
        name: name.clone(),
        parameters: parameters.collect::<Option<_>>()?,
    })
}

fn parts(field: &[u8]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = field.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' => {}
            b',' | b';' | b'=' => parts.push(Part::Sign(byte)),
            b'"' => {
                let mut text = String::new();
                loop {
                    match rest.next()? {
                        b'"' => break,
                        b'\\' => text.push(char::from(rest.next()?)),
                        byte => text.push(char::from(byte)),
                    }
                }
                // What is quoted must be a token nevertheless.
                let is_token =
                    !text.is_empty() && text.bytes().all(is_token_byte) && text.is_ascii();
                is_token.then(|| parts.push(Part::Quoted(text)))?;
            }
            byte if is_token_byte(byte) => {
                let mut text = String::from(char::from(byte));
                while let Some(byte) = rest.next_if(|&byte| is_token_byte(byte)) {
                    text.push(char::from(byte));
                }
                parts.push(Part::Token(text));
            }
            _ => return None,
        }
    }
    Some(parts)
}

/// RFC 9110 section 5.6.2.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'(' | b')' | b',' | b'/' | b':'..=b'@' | b'['..=b']' | b'{' | b'}')
}
