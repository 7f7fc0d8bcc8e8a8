//! Lists of proxies, by what they say and by who can be believed.

use super::*;

/// 10.0.0.0/8, fd00::/8 and loopback are ours.
fn trusts(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 10 || ip.is_loopback(),
        IpAddr::V6(ip) => ip.octets()[0] == 0xfd || ip.is_loopback(),
    }
}

fn show(said: Forwarded) -> String {
    match said {
        Forwarded::Nothing => "nothing".to_owned(),
        Forwarded::Hidden => "hidden".to_owned(),
        Forwarded::By(address) => address.to_string(),
    }
}

fn common(values: &[&str]) -> String {
    show(Forwarded::common(
        values.iter().map(|v| v.as_bytes()),
        trusts,
    ))
}

fn standard(values: &[&str]) -> String {
    match Forwarded::standard(values.iter().map(|v| v.as_bytes()), trusts) {
        Ok(said) => show(said),
        Err(refusal) => refusal.status().code().to_string(),
    }
}

// covers A3-06
#[test]
fn the_first_address_from_the_right_that_is_not_trusted_is_the_client() {
    for (values, client) in [
        (&[] as &[&str], "nothing"),
        (&[""], "nothing"),
        (&[" , ,"], "nothing"),
        (&["203.0.113.7"], "203.0.113.7:0"),
        (&[" \t203.0.113.7\t "], "203.0.113.7:0"),
        (&["203.0.113.7:4711"], "203.0.113.7:4711"),
        (&["2001:db8::7"], "[2001:db8::7]:0"),
        (&["[2001:db8::7]"], "[2001:db8::7]:0"),
        (&["[2001:db8::7]:4711"], "[2001:db8::7]:4711"),
        (&["::ffff:203.0.113.7"], "203.0.113.7:0"),
        // What the client wrote itself stands to the left.
        (&["1.1.1.1, 203.0.113.7"], "203.0.113.7:0"),
        (&["1.1.1.1,203.0.113.7,10.0.0.2,fd00::1"], "203.0.113.7:0"),
        (&["nonsense, 203.0.113.7, 10.0.0.2"], "203.0.113.7:0"),
        (&["\", 203.0.113.7"], "203.0.113.7:0"),
        // Pretending to be a proxy of ours ends at the first that is not.
        (&["1.1.1.1, 10.0.0.9, 203.0.113.7"], "203.0.113.7:0"),
        // Fields join in their order.
        (&["203.0.113.7", "10.0.0.2"], "203.0.113.7:0"),
        (
            &["1.1.1.1", "203.0.113.7, 10.0.0.2", "::1"],
            "203.0.113.7:0",
        ),
        (&["203.0.113.7", ""], "203.0.113.7:0"),
        // Nobody but ours: the first of them.
        (&["10.0.0.9, 10.0.0.2"], "10.0.0.9:0"),
        // At what is hidden or broken nobody further left can be believed.
        (&["203.0.113.7, unknown"], "hidden"),
        (&["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2:0"),
        (&["203.0.113.7, _secret, 10.0.0.3, 10.0.0.2"], "10.0.0.3:0"),
        (&["203.0.113.7, 10.0.0.300, 10.0.0.2"], "10.0.0.2:0"),
        (&["203.0.113.7, unix:"], "hidden"),
    ] {
        assert_eq!(common(values), client, "{values:?}");
    }
}

#[test]
fn what_is_no_address_is_none() {
    for bad in [
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:+1",
        "1.2.3.4:000080",
        "1.2.3.4 5",
        "1.2.3.4:80:80",
        "[1.2.3.4]",
        "[::1",
        "::1]",
        "[::1]80",
        "[::1]:",
        "[::1]:x",
        "[::1]]",
        "[]",
        ":",
        ":80",
        "::1%eth0",
        "[fe80::1%1]",
        "example.com",
        "\u{661}.2.3.4",
        "1.2.3.4:_",
        "1.2.3.4:_\u{e9}",
    ] {
        assert_eq!(common(&[bad]), "hidden", "{bad}");
    }
    assert_eq!(
        show(Forwarded::common([b"1.2.3.\xff".as_slice()], trusts)),
        "hidden"
    );
    assert_eq!(common(&["1.2.3.4:_port.1-a_"]), "1.2.3.4:0");
    assert_eq!(common(&["1.2.3.4:0"]), "1.2.3.4:0");
}

// covers A3-06
#[test]
fn the_standard_header_says_the_same_in_its_own_words() {
    for (values, client) in [
        (&[] as &[&str], "nothing"),
        (&["", ",, ,"], "nothing"),
        // Of RFC 7239, sections 4 and 6.
        (&["for=\"_gazonk\""], "hidden"),
        (
            &["For=\"[2001:db8:cafe::17]:4711\""],
            "[2001:db8:cafe::17]:4711",
        ),
        (
            &["for=192.0.2.60;proto=http;by=203.0.113.43"],
            "192.0.2.60:0",
        ),
        (&["for=192.0.2.43, for=198.51.100.17"], "198.51.100.17:0"),
        (&["for=192.0.2.43, for=10.0.51.17"], "192.0.2.43:0"),
        (&["for=192.0.2.43:47011"], "192.0.2.43:47011"),
        (&["for=\"192.0.2.43:47011\""], "192.0.2.43:47011"),
        (&["for=[2001:db8::1]:80"], "[2001:db8::1]:80"),
        (&["for=unknown"], "hidden"),
        (&["for=192.0.2.43, for=unknown, for=10.0.0.1"], "10.0.0.1:0"),
        // Several fields, any order of parameters, extensions.
        (
            &["for=192.0.2.43", "proto=https;FOR=10.0.0.1"],
            "192.0.2.43:0",
        ),
        (&["x=\"a,for=1.1.1.1\";for=192.0.2.43"], "192.0.2.43:0"),
        (&["x=\"a\\\",for=1.1.1.1\";for=192.0.2.43"], "192.0.2.43:0"),
        (&["x=\"a;for=1.1.1.1\";for=192.0.2.43;"], "192.0.2.43:0"),
        (&["for=192.0.2.43 ; proto=http"], "192.0.2.43:0"),
        // Elements that say of nobody whom they are for.
        (&["proto=https", "by=10.0.0.1;host=example.com"], "nothing"),
        (&["for=192.0.2.43, proto=https"], "hidden"),
        (&["for=192.0.2.43, proto=https, for=10.0.0.1"], "10.0.0.1:0"),
        // Broken elements.
        (&["for=1.1.1.1, for=192.0.2.43;for=192.0.2.44"], "hidden"),
        (&["for=1.1.1.1, for"], "hidden"),
        (&["for=1.1.1.1, for="], "hidden"),
        (&["for=1.1.1.1, =1.1.1.1"], "hidden"),
        (&["for=1.1.1.1, for =192.0.2.43"], "hidden"),
        (&["for=1.1.1.1, for= 192.0.2.43"], "hidden"),
        (&["for=1.1.1.1, for=\"192.0.2.43\"x"], "hidden"),
        (&["for=1.1.1.1, for=\"192.0.2\\.43\""], "hidden"),
        (&["for=1.1.1.1, for=\"\""], "hidden"),
        (&["for=1.1.1.1, for=192.0.2.43 proto=http"], "hidden"),
        (&["1.1.1.1"], "hidden"),
    ] {
        assert_eq!(standard(values), client, "{values:?}");
    }
}

#[test]
fn a_quote_left_open_cannot_swallow_what_a_proxy_appends() {
    for value in [
        "for=\"",
        "for=\", for=203.0.113.7",
        "x=\", for=\"[2001:db8::7]\"",
        "x=\"\\\", for=\"[2001:db8::7]\", for=\"[2001:db8::8]:80\"",
        "x=\"\\",
    ] {
        assert_eq!(standard(&[value]), "400", "{value}");
        assert_eq!(standard(&[value, "for=203.0.113.7"]), "400", "{value}");
    }
}

fn of(headers: &str) -> String {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let limits = super::super::HeadLimits {
        max_bytes: 4_096,
        max_headers: 16,
    };
    let parsed = RequestHead::parse(head.as_bytes(), &limits, &mut 0);
    let Ok(super::super::Parsed::Complete { head, .. }) = parsed else {
        panic!("{parsed:?}");
    };
    match Forwarded::of(&head, trusts) {
        Ok(said) => show(said),
        Err(refusal) => refusal.status().code().to_string(),
    }
}

// covers A3-06
#[test]
fn two_headers_must_agree() {
    for (headers, client) in [
        ("", "nothing"),
        ("X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7:0"),
        ("forwarded: for=203.0.113.7\r\n", "203.0.113.7:0"),
        (
            "Forwarded: for=\"203.0.113.7:1\"\r\nX-Forwarded-For: 203.0.113.7\r\n",
            "203.0.113.7:1",
        ),
        (
            "X-Forwarded-For: 1.1.1.1, 203.0.113.7\r\nForwarded: for=203.0.113.7, for=10.0.0.1\r\n",
            "203.0.113.7:0",
        ),
        (
            "Forwarded: proto=https\r\nX-Forwarded-For: 203.0.113.7\r\n",
            "203.0.113.7:0",
        ),
        (
            "Forwarded: for=203.0.113.7\r\nX-Forwarded-For:\r\n",
            "203.0.113.7:0",
        ),
        (
            "Forwarded: for=unknown\r\nX-Forwarded-For: unknown\r\n",
            "hidden",
        ),
        (
            "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 203.0.113.7\r\n",
            "400",
        ),
        (
            "Forwarded: for=unknown\r\nX-Forwarded-For: 203.0.113.7\r\n",
            "400",
        ),
        (
            "Forwarded: for=203.0.113.7\r\nX-Forwarded-For: unknown\r\n",
            "400",
        ),
        (
            "Forwarded: for=\"\r\nX-Forwarded-For: 203.0.113.7\r\n",
            "400",
        ),
    ] {
        assert_eq!(of(headers), client, "{headers}");
    }
}
