//! What is said over the WebSocket. Every dialect knows how to join, leave, publish with an
//! embedded timestamp, ping, and how to find that timestamp again in a delivered message.

use crate::ws;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The guide's JSON text protocol (`{"type":"join",...}`).
    GuideJson,
    /// Socket.IO v5 / Engine.IO v4 over WebSocket only.
    SocketIo,
    /// No protocol: joined as soon as the handshake is done; binary frames with the 13-byte header.
    RawEcho,
    /// roomwire's binary frames (PROTOCOL.md, "Binary frames"), for everything.
    Binary,
}

pub struct Dialect {
    pub kind: Kind,
    /// delivered payload size for fan-out, sent payload size for echo
    pub size: usize,
    /// message type byte for publishes in the binary dialects
    pub bin_pub: u8,
    /// message type byte for pings/echo in the binary dialects
    pub bin_ping: u8,
    pad: Vec<u8>,
}

pub enum Setup {
    Nothing,
    /// server finished its own greeting: we may join now
    Ready,
    Joined,
}

impl Dialect {
    pub fn parse(name: &str, size: usize) -> Option<Dialect> {
        let kind = match name {
            "guide-json" => Kind::GuideJson,
            "socketio" => Kind::SocketIo,
            "raw-echo" => Kind::RawEcho,
            "binary" => Kind::Binary,
            _ => return None,
        };
        Some(Dialect { kind, size, bin_pub: 1, bin_ping: 2, pad: vec![b'x'; size.max(64)] })
    }

    pub fn path(&self) -> &'static str {
        match self.kind {
            Kind::SocketIo => "/socket.io/?EIO=4&transport=websocket",
            Kind::Binary => "/?dialect=binary",
            _ => "/",
        }
    }

    /// Sent right after the upgrade.
    pub fn on_upgraded(&self, out: &mut Vec<u8>) -> Setup {
        match self.kind {
            Kind::SocketIo => {
                ws::frame_bytes(out, ws::TEXT, b"40");
                Setup::Nothing
            }
            Kind::RawEcho => Setup::Joined,
            _ => Setup::Nothing, // wait for the welcome
        }
    }

    pub fn join(&self, out: &mut Vec<u8>, room: u32) {
        match self.kind {
            Kind::SocketIo => ws::frame_bytes(out, ws::TEXT, format!("42[\"join_room\",\"r{room}\"]").as_bytes()),
            Kind::RawEcho => {}
            Kind::Binary => self.about_room(out, 0x20, room),
            _ => ws::frame_bytes(out, ws::TEXT, format!("{{\"type\":\"join\",\"room\":\"r{room}\"}}").as_bytes()),
        }
    }

    pub fn leave(&self, out: &mut Vec<u8>, room: u32) {
        match self.kind {
            Kind::SocketIo => ws::frame_bytes(out, ws::TEXT, format!("42[\"leave_room\",\"r{room}\"]").as_bytes()),
            Kind::RawEcho => {}
            Kind::Binary => self.about_room(out, 0x22, room),
            _ => ws::frame_bytes(out, ws::TEXT, format!("{{\"type\":\"leave\",\"room\":\"r{room}\"}}").as_bytes()),
        }
    }

    /// Interpret a frame during connection setup.
    pub fn setup_frame(&self, p: &[u8]) -> Setup {
        match self.kind {
            Kind::SocketIo => {
                if p.starts_with(b"40") {
                    Setup::Ready
                } else if p.starts_with(b"42[\"joined_room\"") {
                    Setup::Joined
                } else {
                    Setup::Nothing
                }
            }
            Kind::RawEcho => Setup::Nothing,
            Kind::Binary => match p.first() {
                Some(0x01) => Setup::Ready,
                Some(0x21) => Setup::Joined,
                _ => Setup::Nothing,
            },
            _ => {
                let h = &p[..p.len().min(96)];
                if ws::find(h, b"\"joined_room\"").is_some() {
                    Setup::Joined
                } else if ws::find(h, b"\"welcome\"").is_some() {
                    Setup::Ready
                } else {
                    Setup::Nothing
                }
            }
        }
    }

    /// Application level heartbeat that must be answered (Engine.IO ping).
    #[inline]
    pub fn heartbeat(&self, p: &[u8], out: &mut Vec<u8>) -> bool {
        if self.kind == Kind::SocketIo && p == b"2" {
            ws::frame_bytes(out, ws::TEXT, b"3");
            return true;
        }
        false
    }

    /// A binary frame that is about a room and nothing else.
    fn about_room(&self, out: &mut Vec<u8>, kind: u8, room: u32) {
        let name = format!("r{room}");
        binary(out, kind, 4 + 2 + name.len(), |o| {
            o.extend_from_slice(&[0; 4]);
            o.extend_from_slice(&(name.len() as u16).to_be_bytes());
            o.extend_from_slice(name.as_bytes());
        });
    }

    /// `bytes` bytes of data that begin with a timestamp.
    fn stamped(&self, o: &mut Vec<u8>, ts: u64, bytes: usize) {
        o.extend_from_slice(&ts.to_be_bytes());
        o.extend_from_slice(&self.pad[..bytes - 8]);
    }

    fn header13(&self, o: &mut Vec<u8>, ty: u8, ts: u64) {
        o.push(ty);
        o.extend_from_slice(&ts.to_be_bytes());
        let n = self.size.saturating_sub(13);
        o.extend_from_slice(&(n as u32).to_be_bytes());
        o.extend_from_slice(&self.pad[..n]);
    }

    /// JSON object `{"t":"<16 hex>","p":"xxx"}` of `size` bytes in total.
    fn data(&self, o: &mut Vec<u8>, ts: u64) {
        o.push(b'{');
        self.fields(o, ts);
    }
    fn fields(&self, o: &mut Vec<u8>, ts: u64) {
        o.extend_from_slice(b"\"t\":\"");
        ws::put_hex16(o, ts);
        o.extend_from_slice(b"\",\"p\":\"");
        o.extend_from_slice(&self.pad[..self.size.saturating_sub(31)]);
        o.extend_from_slice(b"\"}");
    }
    fn data_len(&self) -> usize {
        31 + self.size.saturating_sub(31)
    }

    pub fn publish(&self, out: &mut Vec<u8>, room: u32, ts: u64) {
        match self.kind {
            Kind::GuideJson => {
                let head = format!("{{\"type\":\"room_message\",\"room\":\"r{room}\",\"data\":");
                ws::frame(out, ws::TEXT, head.len() + self.data_len() + 1, |o| {
                    o.extend_from_slice(head.as_bytes());
                    self.data(o, ts);
                    o.push(b'}');
                });
            }
            Kind::SocketIo => {
                let head = format!("42[\"message\",{{\"room\":\"r{room}\",");
                ws::frame(out, ws::TEXT, head.len() + self.data_len() - 1 + 1, |o| {
                    o.extend_from_slice(head.as_bytes());
                    self.fields(o, ts);
                    o.push(b']');
                });
            }
            Kind::RawEcho => ws::frame(out, ws::BINARY, self.size.max(13), |o| self.header13(o, self.bin_pub, ts)),
            Kind::Binary => {
                let name = format!("r{room}");
                // As much data as makes the delivery, which has its sender in it, `size` bytes long.
                let data = self.size.saturating_sub(13 + 1 + 18 + 2 + name.len()).max(8);
                binary(out, 0x40, 4 + 1 + 2 + name.len() + data, |o| {
                    o.extend_from_slice(&[0; 5]);
                    o.extend_from_slice(&(name.len() as u16).to_be_bytes());
                    o.extend_from_slice(name.as_bytes());
                    self.stamped(o, ts, data);
                });
            }
        }
    }

    /// A message to all connected clients.
    pub fn broadcast(&self, out: &mut Vec<u8>, ts: u64) {
        match self.kind {
            Kind::Binary => {
                let data = self.size.saturating_sub(13 + 1 + 18).max(8);
                binary(out, 0x41, 4 + 1 + data, |o| {
                    o.extend_from_slice(&[0; 5]);
                    self.stamped(o, ts, data);
                });
            }
            Kind::GuideJson => {
                let head = "{\"type\":\"broadcast\",\"data\":";
                ws::frame(out, ws::TEXT, head.len() + self.data_len() + 1, |o| {
                    o.extend_from_slice(head.as_bytes());
                    self.data(o, ts);
                    o.push(b'}');
                });
            }
            _ => self.publish(out, 0, ts),
        }
    }

    pub fn ping(&self, out: &mut Vec<u8>, ts: u64) {
        match self.kind {
            Kind::GuideJson => {
                // {"type":"ping","t":"...","p":"..."}: the reply is {"type":"pong","timestamp":...}
                let head = "{\"type\":\"ping\",";
                ws::frame(out, ws::TEXT, head.len() + self.data_len() - 1, |o| {
                    o.extend_from_slice(head.as_bytes());
                    self.fields(o, ts);
                });
            }
            Kind::SocketIo => {
                let head = "42[\"ping\",";
                ws::frame(out, ws::TEXT, head.len() + self.data_len() + 1, |o| {
                    o.extend_from_slice(head.as_bytes());
                    self.data(o, ts);
                    o.push(b']');
                });
            }
            Kind::RawEcho => ws::frame(out, ws::BINARY, self.size.max(13), |o| self.header13(o, self.bin_ping, ts)),
            // The header's timestamp comes back at the end of the pong.
            Kind::Binary => ws::frame(out, ws::BINARY, 17, |o| {
                o.push(0x03);
                o.extend_from_slice(&ts.to_be_bytes());
                o.extend_from_slice(&4u32.to_be_bytes());
                o.extend_from_slice(&[0; 4]);
            }),
        }
    }

    /// Timestamp embedded in a delivered message, if any.
    #[inline]
    pub fn timestamp(&self, opcode: u8, p: &[u8]) -> Option<u64> {
        if self.kind == Kind::Binary {
            return binary_timestamp(p);
        }
        if opcode == ws::BINARY {
            return (p.len() >= 9).then(|| u64::from_be_bytes(p[1..9].try_into().unwrap()));
        }
        if p.starts_with(b"{\"t\":\"") {
            return ws::get_hex16(&p[6..]);
        }
        let i = ws::find(p, b"\"t\":\"")?;
        ws::get_hex16(&p[i + 5..])
    }

    /// Whether a frame is a room delivery (as opposed to a notice such as member_joined).
    #[inline]
    pub fn is_delivery(&self, opcode: u8, p: &[u8]) -> bool {
        match self.kind {
            Kind::GuideJson => !p.starts_with(b"{\"type\""),
            Kind::SocketIo => p.starts_with(b"42[\"message\""),
            Kind::RawEcho => opcode == ws::BINARY || p.starts_with(b"{\"t\""),
            Kind::Binary => matches!(p.first(), Some(0x40 | 0x41)),
        }
    }
}

/// A binary frame in a WebSocket message.
fn binary(out: &mut Vec<u8>, kind: u8, payload: usize, body: impl FnOnce(&mut Vec<u8>)) {
    ws::frame(out, ws::BINARY, 13 + payload, |o| {
        o.push(kind);
        o.extend_from_slice(&[0; 8]);
        o.extend_from_slice(&(payload as u32).to_be_bytes());
        body(o);
    });
}

/// The timestamp that a publisher, or a ping, has put into what is delivered.
fn binary_timestamp(p: &[u8]) -> Option<u64> {
    let at = match p.first()? {
        0x04 => 13 + 4,
        0x40 => 13 + 1 + 18 + 2 + usize::from(u16::from_be_bytes([*p.get(32)?, *p.get(33)?])),
        0x41 => 13 + 1 + 18,
        _ => return None,
    };
    Some(u64::from_be_bytes(p.get(at..at + 8)?.try_into().ok()?))
}
