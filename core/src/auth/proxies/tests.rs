//! Who is trusted.

use super::*;

fn proxies(list: &[&str]) -> Proxies {
    let list: Vec<_> = list.iter().map(|&entry| entry.to_owned()).collect();
    Proxies::parse(&list).expect("a list that can be read")
}

fn peer(ip: &str) -> PeerAddr {
    PeerAddr::Inet((ip.parse::<IpAddr>().expect("an address"), 1).into())
}

#[test]
fn addresses_and_networks() {
    let ours = proxies(&["127.0.0.1", "::1", "10.1.2.3/8", "2001:db8::/32"]);
    for ip in [
        "127.0.0.1",
        "::1",
        "10.0.0.0",
        "10.255.255.255",
        "2001:db8:ffff::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
    ] {
        assert!(ours.trusts(peer(ip)), "{ip}");
    }
    for ip in [
        "127.0.0.2",
        "::2",
        "9.255.255.255",
        "11.0.0.0",
        "2001:db9::",
        "::ffff:11.0.0.1",
    ] {
        assert!(!ours.trusts(peer(ip)), "{ip}");
    }
    assert!(!ours.trusts(PeerAddr::Local));
}

#[test]
fn ipv4_in_ipv6_is_ipv4() {
    for list in ["::ffff:10.0.0.0/104", "::ffff:10.1.2.3"] {
        assert!(proxies(&[list]).trusts(peer("10.1.2.3")), "{list}");
        assert!(!proxies(&[list]).trusts(peer("11.1.2.3")), "{list}");
    }
    // A network that is larger than that of IPv4 in IPv6 holds no IPv4 address.
    assert!(!proxies(&["::/0"]).trusts(peer("10.1.2.3")));
    assert!(!proxies(&["0.0.0.0/0"]).trusts(peer("::1")));
}

#[test]
fn local_is_a_word() {
    assert!(proxies(&["local"]).trusts(PeerAddr::Local));
    assert!(!proxies(&["local"]).trusts(peer("127.0.0.1")));
    assert!(!proxies(&[]).trusts(PeerAddr::Local));
    assert_eq!(
        Proxies::parse(&["local".to_owned(), "Local".to_owned()]),
        Err(1)
    );
}
