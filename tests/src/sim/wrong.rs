//! Requests and frames as they should not be, and the one request that is right.

use super::plan::{Head, Lie};

/// The first bytes of a connection, which offers compression or not.
pub(super) fn request(head: Head, offers: bool) -> Vec<u8> {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (first, version, more) = match head {
        Head::Upgrade | Head::Half => ("GET /ws HTTP/1.1", "13", String::new()),
        Head::Path => ("GET /nowhere HTTP/1.1", "13", String::new()),
        Head::Plain => return b"GET /ws HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec(),
        Head::Method => ("POST /ws HTTP/1.1", "13", String::new()),
        Head::Origin => {
            let origin = "Origin: https://elsewhere.example\r\n";
            ("GET /ws HTTP/1.1", "13", origin.to_owned())
        }
        Head::Long => {
            let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
            ("GET /ws HTTP/1.1", "13", long)
        }
        Head::Garbage => return b"\x16\x03\x01 is no HTTP\r\n\r\n".to_vec(),
        Head::Version => ("GET /ws HTTP/1.1", "8", String::new()),
        Head::Health => return b"GET /health HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec(),
    };
    let version = format!("Sec-WebSocket-Version: {version}\r\n");
    let extensions = if offers {
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    } else {
        ""
    };
    let text = format!("{first}\r\nHost: example.com\r\n{upgrade}{version}{extensions}{more}\r\n");
    let mut bytes = text.into_bytes();
    if head == Head::Half {
        bytes.truncate(bytes.len() / 2);
    }
    bytes
}

/// What comes after [`Head::Half`].
pub(super) fn rest(offers: bool) -> Vec<u8> {
    request(Head::Upgrade, offers).split_off(request(Head::Half, offers).len())
}

/// A frame that breaks a rule.
pub(super) fn lie_bytes(lie: Lie, max_message_bytes: usize) -> Vec<u8> {
    let key = [1, 2, 3, 4];
    match lie {
        Lie::Unmasked => vec![0x81, 0x02, b'{', b'}'],
        Lie::Utf8 => {
            let payload = [0xC3, 0x28].iter().zip(key).map(|(byte, key)| byte ^ key);
            let head = [0x81, 0x82, 1, 2, 3, 4];
            head.into_iter().chain(payload).collect()
        }
        // RSV2, as RSV1 may have been agreed on.
        Lie::Reserved => vec![0xA1, 0x80, 1, 2, 3, 4],
        Lie::Opcode => vec![0x83, 0x80, 1, 2, 3, 4],
        Lie::CloseCode => vec![0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED],
        Lie::Huge => {
            let mut frame = vec![0x81, 0xFF];
            frame.extend((max_message_bytes as u64 + 1).to_be_bytes());
            frame.extend(key);
            frame
        }
        Lie::Continuation => vec![0x80, 0x80, 1, 2, 3, 4],
        Lie::SplitPing => vec![0x09, 0x80, 1, 2, 3, 4],
    }
}
