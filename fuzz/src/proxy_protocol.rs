//! What a proxy says of a connection before its first byte.
//!
//! Promises: reading ends within the bound; what was found in some bytes is found in those and more; what a proxy
//! writes is what is read; masking it for a recording changes nothing that is read, however it is cut.

use core::net::{IpAddr, SocketAddr};

use roomwire_core::Config;
use roomwire_core::http::{MAX_PROXY_HEADER_BYTES, ProxyHeader};
use roomwire_core::replay::Masker;

use crate::input::{Choices, Cuts};

/// Two bytes of cuts, then what is sent, or with a flag what a proxy writes.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let cuts = Cuts::choose(&mut choices);
    if choices.flag() {
        let (header, source) = write(&mut choices);
        let read = ProxyHeader {
            source: Some(source),
            bytes: header.len(),
        };
        let sent = [&header, choices.rest()].concat();
        assert_eq!(ProxyHeader::parse(&sent), Ok(Some(read)));
        check(&sent, cuts);
    } else {
        check(choices.rest(), cuts);
    }
}

fn check(sent: &[u8], cuts: Cuts) {
    let mut whole = sent.to_vec();
    let limits = Config::default().limits;
    Masker::behind_proxy(&limits).mask(&mut whole);
    let mut pieces = sent.to_vec();
    let mut masker = Masker::behind_proxy(&limits);
    let mut at = 0;
    for end in cuts.ends(sent.len()) {
        masker.mask(&mut pieces[at..end]);
        at = end;
    }
    assert_eq!(whole, pieces, "cutting makes a difference");

    let mut found = Ok(None);
    let mut more = MORE;
    for end in 0..=sent.len() {
        let read = ProxyHeader::parse(&sent[..end]);
        if found != Ok(None) {
            assert_eq!(read, found, "what follows makes a difference");
            more -= 1;
        }
        match read {
            Ok(None) => assert!(end < MAX_PROXY_HEADER_BYTES),
            Ok(Some(header)) => {
                assert!(header.bytes <= end && header.bytes <= MAX_PROXY_HEADER_BYTES);
                let address = header.source.map(|source| source.ip());
                assert_eq!(address, address.map(|ip| ip.to_canonical()));
            }
            Err(_) => {}
        }
        assert_eq!(
            ProxyHeader::parse(&whole[..end]),
            read,
            "masking makes a difference"
        );
        found = read;
        if more == 0 {
            break;
        }
    }
}

/// A header as a proxy writes it, and the source that it tells.
fn write(choices: &mut Choices<'_>) -> (Vec<u8>, SocketAddr) {
    let (binary, v6, extras) = (choices.flag(), choices.flag(), choices.below(8));
    let mut end = || {
        let ip: IpAddr = if v6 {
            core::array::from_fn::<u8, 16, _>(|_| choices.byte()).into()
        } else {
            core::array::from_fn::<u8, 4, _>(|_| choices.byte()).into()
        };
        SocketAddr::new(ip, choices.short())
    };
    let (from, to) = (end(), end());
    let source = SocketAddr::new(from.ip().to_canonical(), from.port());
    if !binary {
        let family = if v6 { 6 } else { 4 };
        let (from, to, ports) = (from.ip(), to.ip(), (from.port(), to.port()));
        let line = format!("PROXY TCP{family} {from} {to} {} {}\r\n", ports.0, ports.1);
        return (line.into_bytes(), source);
    }
    let mut block = Vec::new();
    for end in [from, to] {
        match end.ip() {
            IpAddr::V4(ip) => block.extend(ip.octets()),
            IpAddr::V6(ip) => block.extend(ip.octets()),
        }
    }
    block.extend([from.port().to_be_bytes(), to.port().to_be_bytes()].concat());
    for _ in 0..extras {
        let kind = choices.byte();
        let length = choices.below(256);
        let value = choices.take(length);
        let length = u16::try_from(value.len()).unwrap_or_default();
        block.push(kind);
        block.extend(length.to_be_bytes());
        block.extend(value);
    }
    let length = u16::try_from(block.len()).unwrap_or_default();
    let head = [
        &[0x21, if v6 { 0x21 } else { 0x11 }][..],
        &length.to_be_bytes(),
    ]
    .concat();
    (
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &head, &block].concat(),
        source,
    )
}

/// Bytes behind a header that are looked at.
const MORE: usize = 64;
