//! Connections that proxies make for others: whose they are, told before the first request (PROXY protocol) or by
//! it, and counted there from then on.

use core::net::SocketAddr;
use core::ops::ControlFlow;

use super::{Refused, Server};
use crate::http::{Forwarded, ProxyHeader, Refusal, RequestHead};
use crate::machine::{ListenerId, PeerAddr};
use crate::session::connection::{Preface, Stage};

impl Server {
    /// Whether a listener asks for the PROXY protocol and `peer` may not speak it: it would be free to invent an
    /// address. Counts it.
    pub(super) fn refuses_unproxied(&mut self, listener: ListenerId, peer: PeerAddr) -> bool {
        let refused = self.listener(listener).proxy_protocol && !self.trusts(listener, peer);
        if refused {
            self.stats.unproxied += 1;
            self.note_refusal(Refused::Unproxied, peer);
        }
        refused
    }

    /// Whether a header of the PROXY protocol has to come first.
    pub(super) fn awaits_proxy_header(&self, index: u32) -> bool {
        self.preface(index) == Some(Preface::Due)
    }

    /// Reads the header of the PROXY protocol if one is due. Breaks, as `received` does, with how many bytes were
    /// taken: none if it is not complete, all if the connection is closing.
    pub(super) fn read_proxy_header(
        &mut self,
        index: u32,
        bytes: &[u8],
    ) -> ControlFlow<usize, usize> {
        if !self.awaits_proxy_header(index) {
            return ControlFlow::Continue(0);
        }
        let header = match ProxyHeader::parse(bytes) {
            Ok(Some(header)) => header,
            Ok(None) => return ControlFlow::Break(0),
            Err(_) => {
                self.close_unproxied(index);
                return ControlFlow::Break(bytes.len());
            }
        };
        let after = match header.source {
            Some(client) if !self.count_at(index, client) => {
                self.close_quietly(index);
                return ControlFlow::Break(bytes.len());
            }
            Some(_) => Preface::Done,
            None => Preface::Anonymous,
        };
        let connection = self.connections.get_mut(index);
        if let Some(Stage::Request(request)) = connection.map(|it| &mut it.stage) {
            request.preface = after;
        }
        ControlFlow::Continue(header.bytes)
    }

    /// Closes a connection whose header is malformed or did not come: the proxy that should have sent it speaks
    /// some other protocol, so there is no answer that it would understand.
    pub(super) fn close_unproxied(&mut self, index: u32) {
        self.stats.unproxied += 1;
        if let Some(connection) = self.connections.get(index) {
            self.note_refusal(Refused::Unproxied, (&connection.peer).into());
        }
        self.close_quietly(index);
    }

    /// Behind a proxy that is trusted, what the connection counts against is from now on the client's address. One
    /// connection of a proxy may carry requests of many clients: only an upgrade makes it one client's.
    pub(super) fn find_client_behind_proxy(
        &mut self,
        index: u32,
        head: &RequestHead<'_>,
    ) -> Result<(), Refusal> {
        // A proxy that could not say for whom it connects passes on what that one writes, headers included.
        if self.preface(index) != Some(Preface::Done) {
            return Ok(());
        }
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        let (proxy, listener) = (PeerAddr::from(&connection.peer), connection.listener);
        let Some(proxies) = self.proxies(listener) else {
            return Ok(());
        };
        if !proxies.trusts(proxy) {
            return Ok(());
        }
        match Forwarded::of(head, |ip| proxies.trusts_ip(ip))? {
            Forwarded::By(client) if !self.count_at(index, client) => {
                let text = "Too many connections from this address";
                Err(Refusal::unavailable(text, Some(1)))
            }
            _ => Ok(()),
        }
    }

    /// Makes a connection one of `client`'s; `false` if that one has too many, and nothing changes.
    fn count_at(&mut self, index: u32, client: SocketAddr) -> bool {
        let client = PeerAddr::Inet(client);
        let Some(connection) = self.connections.get(index) else {
            return false;
        };
        let (listener, old) = (connection.listener, connection.address);
        let new = self.addresses.enter(client);
        if !self.has_room_at(new, client, listener) {
            self.leave_address(new);
            return false;
        }
        self.tell_address(new, 0);
        self.tell_address(old, 1);
        self.leave_address(old);
        if let Some(connection) = self.connections.get_mut(index) {
            (connection.peer, connection.address) = (client.into(), new);
        }
        true
    }

    fn preface(&self, index: u32) -> Option<Preface> {
        match &self.connections.get(index)?.stage {
            Stage::Request(request) => Some(request.preface),
            _ => None,
        }
    }
}
