//! Which far ends of a socket are proxies that are believed when they say whose request they pass on.

#[cfg(test)]
mod tests;

use core::net::IpAddr;

use ipnet::IpNet;

use crate::machine::PeerAddr;

/// The trusted proxies of one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    networks: Vec<IpNet>,
    local: bool,
}

impl Proxies {
    /// Reads a list of addresses (`127.0.0.1`, `::1`), networks (`10.0.0.0/8`) and the word `local`, which stands
    /// for peers without an address: UNIX sockets. O(length).
    ///
    /// # Errors
    /// The index of the first entry that is none of these.
    pub fn parse(list: &[String]) -> Result<Self, usize> {
        let mut proxies = Self::default();
        for (index, entry) in list.iter().enumerate() {
            if entry == LOCAL {
                proxies.local = true;
            } else {
                proxies.networks.push(network(entry).ok_or(index)?);
            }
        }
        Ok(proxies)
    }

    /// Whether a socket's far end is one of them. O(entries).
    pub fn trusts(&self, peer: PeerAddr) -> bool {
        match peer {
            PeerAddr::Inet(address) => self.trusts_ip(address.ip()),
            PeerAddr::Local => self.local,
        }
    }

    /// Whether the host at an address is one of them; IPv4 in IPv6 counts as IPv4. O(entries).
    pub fn trusts_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }
}

/// An address or a network. Addresses are compared in their canonical form, so IPv4 in IPv6 is turned into IPv4.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.to_canonical().into());
    }
    let network = text.parse::<IpNet>().ok()?;
    match (network.addr().to_canonical(), network.prefix_len()) {
        (ip @ IpAddr::V4(_), bits @ 96..) => IpNet::new(ip, bits - 96).ok(),
        _ => Some(network),
    }
}

const LOCAL: &str = "local";
