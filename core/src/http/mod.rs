//! HTTP/1.1 requests and responses, as far as a WebSocket server needs them.
//!
//! Owns the syntax of RFC 9112 on the server's side: an incremental request head, a body that is read and
//! discarded, and responses written into a byte vector. It is a set of functions over lent bytes: no sockets,
//! no routes, no rooms, no settings but the numbers that callers pass. Whatever could be read in two ways is
//! refused, so that a proxy in front never sees another request than the server does. Beside it, what proxies say of
//! their clients: in HTTP itself, or before it.
//!
//! ```
//! use roomwire_core::http::{BodyDiscard, HeadLimits, Parsed, Refusal, ReplyTo, RequestHead, Response, Status};
//!
//! let received = b"GET /health HTTP/1.1\r\nHost: example.com\r\n\r\n";
//! let limits = HeadLimits { max_bytes: 16 * 1024, max_headers: 64 };
//! let mut scan = 0;
//! let mut out = Vec::new();
//! match RequestHead::parse(received, &limits, &mut scan) {
//!     // Keep the bytes and call again, with the same `scan`, when more have arrived.
//!     Ok(Parsed::Partial) => {}
//!     Ok(Parsed::Complete { head, consumed }) => {
//!         let reply = ReplyTo::request(&head, 784_111_777_000);
//!         let mut body = BodyDiscard::new(head.framing, 64 * 1024)?;
//!         body.feed(&received[consumed..])?;
//!         match head.target.path() {
//!             "/health" => Response::text(Status::Ok, "healthy").no_store().write(&reply, &mut out),
//!             _ => Refusal::not_found().write(&reply, &mut out),
//!         }
//!     }
//!     Err(refusal) => refusal.write(&ReplyTo::unparsed(784_111_777_000), &mut out),
//! }
//! assert!(out.starts_with(b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
//! # Ok::<(), Refusal>(())
//! ```

mod authority;
mod body;
mod forwarded;
pub(crate) mod head;
pub(crate) mod proxy_protocol;
mod request_target;
mod response;
pub(crate) mod syntax;

pub use authority::Authority;
pub use body::{BodyDiscard, MAX_CHUNK_DIGITS, MAX_SPARE_BYTES};
pub use forwarded::Forwarded;
pub use head::{Framing, HeadLimits, Headers, MAX_HEADERS, Method, Parsed, RequestHead, Version};
pub use proxy_protocol::{MAX_PROXY_HEADER_BYTES, MalformedProxyHeader, ProxyHeader};
pub use request_target::Target;
pub use response::{CONTINUE, MAX_DATE_UNIX_MS, Refusal, ReplyTo, Response, Status};
