//! Who a proxy says is behind it.
//!
//! Promises: what is read from left to right is what a reader from the right finds who stops at the first address
//! that is not trusted; nothing that stands before a trustworthy entry matters; cutting a field in two at a comma
//! changes nothing; and nobody can hide what is appended.

use core::net::{IpAddr, SocketAddr};

use roomwire_core::http::Forwarded;

use crate::input::Choices;

/// Which addresses are trusted, then the fields, one a line.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mask = choices.byte();
    let trusts = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets()[3] & mask == 0,
        IpAddr::V6(ip) => ip.octets()[15] & mask == 0,
    };
    let lines = choices.rest().split(|&byte| byte == b'\n');
    let lines: Vec<&[u8]> = lines.take(MAX_LINES).collect();
    check_common(&lines, &trusts);
    check_standard(&lines, &trusts);
}

fn check_common(lines: &[&[u8]], trusts: &impl Fn(IpAddr) -> bool) {
    let read = |lines: &[&[u8]]| Forwarded::common(lines.iter().copied(), trusts);
    let said = read(lines);
    // The same entry by entry.
    let entries: Vec<&[u8]> = lines
        .iter()
        .flat_map(|line| line.split(|&b| b == b','))
        .collect();
    assert_eq!(read(&entries), said);
    let alone = |entry: &[u8]| read(&[entry]);
    assert_eq!(said, from_the_right(&entries, alone, trusts));
    check_appended(
        lines,
        b"203.0.113.77",
        |lines| Ok::<_, ()>(read(lines)),
        trusts,
    );
}

fn check_standard(lines: &[&[u8]], trusts: &impl Fn(IpAddr) -> bool) {
    let read = |lines: &[&[u8]]| Forwarded::standard(lines.iter().copied(), trusts);
    match read(lines) {
        Err(refusal) => {
            assert_eq!(refusal.status().code(), 400);
            assert!(lines.iter().any(|line| line.contains(&b'"')));
        }
        Ok(said) if !lines.iter().any(|line| line.contains(&b'"')) => {
            let entries: Vec<&[u8]> = lines
                .iter()
                .flat_map(|line| line.split(|&b| b == b','))
                .collect();
            assert_eq!(read(&entries).ok(), Some(said));
            let alone = |entry: &[u8]| read(&[entry]).unwrap_or(Forwarded::Hidden);
            let named = entries
                .iter()
                .any(|&entry| alone(entry) != Forwarded::Nothing);
            // An entry that has no `for` is a hidden one as soon as another has.
            let blank = |entry: &[u8]| entry.iter().all(|b| matches!(b, b' ' | b'\t'));
            let hidden = |entry: &[u8]| match alone(entry) {
                Forwarded::Nothing if named && !blank(entry) => Forwarded::Hidden,
                said => said,
            };
            assert_eq!(said, from_the_right(&entries, hidden, trusts));
        }
        Ok(_) => {}
    }
    check_appended(lines, b"for=203.0.113.77", read, trusts);
    check_appended(
        lines,
        b"for=\"[2001:db8::77]:80\";proto=https",
        read,
        trusts,
    );
}

/// Reads as the headers are meant: from the end, as far as trust goes.
fn from_the_right(
    entries: &[&[u8]],
    alone: impl Fn(&[u8]) -> Forwarded,
    trusts: &impl Fn(IpAddr) -> bool,
) -> Forwarded {
    let mut last = None::<SocketAddr>;
    let mut hidden = false;
    for entry in entries.iter().rev() {
        match alone(entry) {
            Forwarded::Nothing => {}
            Forwarded::Hidden => {
                hidden = true;
                break;
            }
            Forwarded::By(address) => {
                last = Some(address);
                if !trusts(address.ip()) {
                    break;
                }
            }
        }
    }
    match last {
        Some(address) => Forwarded::By(address),
        None if hidden => Forwarded::Hidden,
        None => Forwarded::Nothing,
    }
}

/// A proxy appends an address, in a field of its own or to the last one: it is found, or all is refused.
fn check_appended<E>(
    lines: &[&[u8]],
    entry: &[u8],
    read: impl Fn(&[&[u8]]) -> Result<Forwarded, E>,
    trusts: &impl Fn(IpAddr) -> bool,
) {
    let Ok(Forwarded::By(appended)) = read(&[entry]) else {
        panic!("an address");
    };
    if trusts(appended.ip()) {
        return;
    }
    let mut separate = lines.to_vec();
    separate.push(entry);
    let joined = [lines.last().copied().unwrap_or_default(), entry].join(&b", "[..]);
    let mut same = lines.to_vec();
    same.pop();
    same.push(&joined);
    for lines in [separate, same] {
        if let Ok(said) = read(&lines) {
            assert_eq!(said, Forwarded::By(appended));
        }
    }
}

const MAX_LINES: usize = 64;
