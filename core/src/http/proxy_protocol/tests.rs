//! Headers as the specification spells them, and what it forbids; then any header, and any bytes.

use proptest::prelude::*;

use super::*;

fn show(bytes: &[u8]) -> String {
    match ProxyHeader::parse(bytes) {
        Ok(None) => "more".to_owned(),
        Ok(Some(header)) => {
            let rest =
                String::from_utf8_lossy(bytes.get(header.bytes..).expect("its end")).into_owned();
            let source = header.source.map(|source| source.to_string());
            format!("{}|{rest}", source.unwrap_or_default())
        }
        Err(MalformedProxyHeader) => "malformed".to_owned(),
    }
}

/// A header of version 2 with this command, family and protocol, and block.
fn binary(command: u8, kind: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("a short block");
    let head = [
        command,
        kind,
        length.to_be_bytes()[0],
        length.to_be_bytes()[1],
    ];
    [SIGNATURE, &head, block].concat()
}

fn extra(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("a short value");
    [&[kind][..], &length.to_be_bytes(), value].concat()
}

/// From 192.0.2.1:56324 to 198.51.100.1:443.
const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB];

// covers A3-06
#[test]
fn lines_as_the_specification_has_them() {
    for (text, said) in [
        // Its example before a request.
        (
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n",
            "192.168.0.1:56324|GET / HTTP/1.1\r\n",
        ),
        // Its longest lines.
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            "255.255.255.255:65535|",
        ),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535|",
        ),
        (
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            "|",
        ),
        ("PROXY UNKNOWN\r\n", "|"),
        // What follows UNKNOWN is nobody's business.
        ("PROXY UNKNOWN  a\rb\nc \u{e9}\r\nrest", "|rest"),
        ("PROXY TCP4 0.0.0.0 1.2.3.4 0 0\r\n", "0.0.0.0:0|"),
        (
            "PROXY TCP6 2001:DB8::7 ::1 4711 80\r\n",
            "[2001:db8::7]:4711|",
        ),
        // As sockets of both families write IPv4.
        (
            "PROXY TCP6 ::ffff:203.0.113.7 ::ffff:10.0.0.1 1 2\r\n",
            "203.0.113.7:1|",
        ),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r", "more"),
        ("PROXY TCP4 1.1.1.1", "more"),
        ("P", "more"),
        ("", "more"),
    ] {
        assert_eq!(show(text.as_bytes()), said, "{text}");
    }
}

#[test]
fn lines_that_are_malformed() {
    for text in [
        "GET / HTTP/1.1\r\n",
        "\x16\x03\x01",
        "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXIED",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY UNKNOWN2\r\n",
        "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        "PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n",
        "PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP4 1.1.1.1 ::1 1 2\r\n",
        "PROXY TCP4 1.1.1.1 x 1 2\r\n",
        "PROXY TCP6 1.1.1.1 1.1.1.1 1 2\r\n",
        "PROXY TCP6 [::1] [::1] 1 2\r\n",
        "PROXY TCP6 ::1%1 ::1 1 2\r\n",
        "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 00\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2  2\r\n",
        // Neither half of a line's end is one.
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\nGET / HTTP/1.1\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rGET / HTTP/1.1\r\n",
    ] {
        assert_eq!(show(text.as_bytes()), "malformed", "{text}");
    }
    assert_eq!(show(b"PROXY TCP4 1.1.1.\xff 2.2.2.2 1 2\r\n"), "malformed");
}

#[test]
fn a_line_has_107_bytes_at_most() {
    let line =
        |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16)).into_bytes();
    assert_eq!((line(107).len(), show(&line(107)).as_str()), (107, "|"));
    assert_eq!(
        (line(108).len(), show(&line(108)).as_str()),
        (108, "malformed")
    );
    assert_eq!(show(&line(108)[..106]), "more");
    assert_eq!(show(&line(108)[..107]), "malformed");
}

// covers A3-06
#[test]
fn binary_headers_as_the_specification_has_them() {
    assert_eq!(
        SIGNATURE,
        [
            0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A
        ]
    );
    let ends = |bytes: usize, from: &[u8], port: u16| {
        let mut block = vec![0; 2 * bytes + 4];
        block[..from.len()].copy_from_slice(from);
        block[2 * bytes..][..2].copy_from_slice(&port.to_be_bytes());
        block
    };
    let ipv6 = ends(
        16,
        &"2001:db8::7".parse::<Ipv6Addr>().expect("one").octets(),
        4_711,
    );
    let mapped = ends(
        16,
        &Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped().octets(),
        1,
    );
    for (what, header, said) in [
        ("TCP over IPv4", binary(0x21, 0x11, &V4), "192.0.2.1:56324|"),
        (
            "TCP over IPv6",
            binary(0x21, 0x21, &ipv6),
            "[2001:db8::7]:4711|",
        ),
        (
            "IPv4 in IPv6",
            binary(0x21, 0x21, &mapped),
            "203.0.113.7:1|",
        ),
        ("LOCAL", binary(0x20, 0x00, &[]), "|"),
        // Its family is ignored, and its block skipped.
        ("LOCAL, with a family", binary(0x20, 0x11, &V4), "|"),
        ("LOCAL, with nonsense", binary(0x20, 0xFF, b"nonsense"), "|"),
        ("UNSPEC", binary(0x21, 0x00, &[]), "|"),
        (
            "UNSPEC, with something",
            binary(0x21, 0x00, b"something"),
            "|",
        ),
        ("an unknown protocol", binary(0x21, 0x10, &V4), "|"),
        ("an unknown family", binary(0x21, 0x01, &V4), "|"),
        ("UDP over IPv4", binary(0x21, 0x12, &V4), "|"),
        ("UDP over IPv6", binary(0x21, 0x22, &ipv6), "|"),
        ("UNIX stream", binary(0x21, 0x31, &[b'/'; 216]), "|"),
        ("UNIX datagram", binary(0x21, 0x32, &[b'/'; 216]), "|"),
    ] {
        assert_eq!(show(&header), said, "{what}");
        let before = [&header, &b"GET / HTTP/1.1\r\n"[..]].concat();
        assert_eq!(show(&before), format!("{said}GET / HTTP/1.1\r\n"), "{what}");
        for end in 0..header.len() {
            assert_eq!(show(&header[..end]), "more", "{what}, {end} bytes");
        }
    }
}

#[test]
fn extras_are_skipped_and_have_to_fill_the_header() {
    let with = |extras: &[u8]| binary(0x21, 0x11, &[&V4, extras].concat());
    let ssl = extra(
        0x20,
        &[&[1, 0, 0, 0, 0][..], &extra(0x21, b"TLSv1.3")].concat(),
    );
    let all = [
        extra(0x01, b"h2"),
        extra(0x02, b"example.com"),
        extra(0x04, &[]),
        ssl,
    ]
    .concat();
    assert_eq!(show(&with(&all)), "192.0.2.1:56324|");
    for (what, extras) in [
        ("half of one", &[4, 0][..]),
        ("one that is longer", &[4, 0, 1]),
        ("one that is much longer", &[4, 0xFF, 0xFF, 0]),
        ("one that is shorter", &[4, 0, 0, 7]),
    ] {
        assert_eq!(show(&with(extras)), "malformed", "{what}");
    }
    // Behind a UNIX socket's addresses, too, but not where nobody knows where they begin.
    assert_eq!(show(&binary(0x21, 0x31, &[0; 217])), "malformed");
    assert_eq!(show(&binary(0x21, 0x00, &[0])), "|");
}

#[test]
fn binary_headers_that_are_malformed() {
    for (what, header) in [
        ("version 1", binary(0x11, 0x11, &V4)),
        ("version 3", binary(0x31, 0x11, &V4)),
        ("an unknown command", binary(0x22, 0x11, &V4)),
        ("an unknown family", binary(0x21, 0x41, &V4)),
        ("an unknown protocol", binary(0x21, 0x13, &V4)),
        ("a block too short for IPv4", binary(0x21, 0x11, &V4[..11])),
        ("no block", binary(0x21, 0x11, &[])),
        ("a block too short for IPv6", binary(0x21, 0x21, &[0; 35])),
        (
            "a block too short for datagrams",
            binary(0x21, 0x12, &V4[..11]),
        ),
        (
            "a block too short for UNIX sockets",
            binary(0x21, 0x31, &[0; 215]),
        ),
    ] {
        assert_eq!(show(&header), "malformed", "{what}");
        // Which is known before the block is there.
        assert_eq!(show(&header[..BINARY_HEAD_BYTES]), "malformed", "{what}");
    }
    assert_eq!(show(b"\r\n\r\n\0\r\nQUIT\r"), "malformed");
}

#[test]
fn a_binary_header_has_4096_bytes_at_most() {
    let with = |bytes: usize| {
        binary(
            0x21,
            0x11,
            &[&V4[..], &extra(4, &vec![0; bytes - 31])].concat(),
        )
    };
    let longest = with(MAX_PROXY_HEADER_BYTES);
    assert_eq!(longest.len(), 4_096);
    assert_eq!(show(&longest), "192.0.2.1:56324|");
    assert_eq!(show(&with(4_097)), "malformed");
    assert_eq!(show(&with(4_097)[..16]), "malformed");
    assert_eq!(show(&binary(0x20, 0, &[0; 4_080])), "|");
    assert_eq!(show(&binary(0x20, 0, &[0; 4_081])), "malformed");
}

/// A header as a proxy writes it.
#[derive(Clone, Debug)]
struct Written {
    source: SocketAddr,
    destination: SocketAddr,
    extras: Option<Vec<(u8, Vec<u8>)>>,
}

impl Written {
    /// Version 2 if it has extras, else version 1.
    fn bytes(&self) -> Vec<u8> {
        let (from, to) = (self.source, self.destination);
        let Some(extras) = &self.extras else {
            let family = if from.is_ipv4() { 4 } else { 6 };
            let (from_port, to_port) = (from.port(), to.port());
            let (from, to) = (from.ip(), to.ip());
            return format!("PROXY TCP{family} {from} {to} {from_port} {to_port}\r\n").into_bytes();
        };
        let mut block = Vec::new();
        for end in [from, to] {
            match end.ip() {
                IpAddr::V4(ip) => block.extend(ip.octets()),
                IpAddr::V6(ip) => block.extend(ip.octets()),
            }
        }
        block.extend(from.port().to_be_bytes());
        block.extend(to.port().to_be_bytes());
        block.extend(extras.iter().flat_map(|(kind, value)| extra(*kind, value)));
        binary(0x21, if from.is_ipv4() { 0x11 } else { 0x21 }, &block)
    }

    fn read(&self) -> Option<SocketAddr> {
        let source = self.source;
        Some(SocketAddr::new(source.ip().to_canonical(), source.port()))
    }
}

prop_compose! {
    fn written()(
        v4 in any::<bool>(),
        ends in any::<[([u8; 4], [u8; 16], bool, u16); 2]>(),
        extras in proptest::option::of(proptest::collection::vec(
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)),
            0..6,
        )),
    ) -> Written {
        let [source, destination] = ends.map(|(short, long, mapped, port)| {
            let short = Ipv4Addr::from(short);
            let ip = match (v4, mapped) {
                (true, _) => IpAddr::V4(short),
                (false, true) => IpAddr::V6(short.to_ipv6_mapped()),
                (false, false) => IpAddr::V6(long.into()),
            };
            SocketAddr::new(ip, port)
        });
        Written { source, destination, extras }
    }
}

/// Bytes that come close: the start of a header, then anything.
fn almost() -> impl Strategy<Value = Vec<u8>> {
    let cut = |(header, keep, rest): (Written, usize, Vec<u8>)| {
        let mut bytes = header.bytes();
        bytes.truncate(keep);
        bytes.extend(rest);
        bytes
    };
    (
        written(),
        0_usize..160,
        proptest::collection::vec(any::<u8>(), 0..160),
    )
        .prop_map(cut)
}

proptest! {
    #[test]
    fn what_is_written_is_read(header in written(), rest in proptest::collection::vec(any::<u8>(), 0..40)) {
        let bytes = header.bytes();
        let read = ProxyHeader { source: header.read(), bytes: bytes.len() };
        for end in 0..bytes.len() {
            prop_assert_eq!(ProxyHeader::parse(&bytes[..end]), Ok(None));
        }
        prop_assert_eq!(ProxyHeader::parse(&bytes), Ok(Some(read)));
        prop_assert_eq!(ProxyHeader::parse(&[bytes, rest].concat()), Ok(Some(read)));
    }

    /// What is found in some of the bytes is found in all of them, and within the bound.
    #[test]
    fn what_was_found_stays(bytes in almost()) {
        let mut found = Ok(None);
        for end in 0..=bytes.len() {
            let now = ProxyHeader::parse(&bytes[..end]);
            if found != Ok(None) {
                prop_assert_eq!(now, found);
            }
            if let Ok(Some(header)) = now {
                prop_assert!(header.bytes <= end && header.bytes <= MAX_PROXY_HEADER_BYTES);
            }
            found = now;
        }
    }
}
