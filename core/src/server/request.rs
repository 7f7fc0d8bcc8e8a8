//! HTTP requests: the health endpoints, the client for browsers and its page, and upgrades to a WebSocket session.

use core::ops::ControlFlow;

use super::closing::Goodbye;
use super::compression::served;
use super::timing::class;
use super::web::WebFile;
use super::{Drain, Server};
use crate::auth::{agents, origin};
use crate::config::{Compression, Config, Limits, ListenerConfig};
use crate::http::{
    BodyDiscard, HeadLimits, Method, Parsed, Refusal, ReplyTo, RequestHead, Response, Status,
};
use crate::machine::ListenerId;
use crate::room::WireForm;
use crate::session::connection::{CloseCause, Kind, Stage};
use crate::websocket::handshake::{self, Upgrade};

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Upgrade(Kind),
    Health,
    Live,
    Ready,
    File(&'static WebFile),
}

/// What a request came to.
enum Answer {
    /// The connection goes on with the next request.
    Next,
    /// It has become a session; what follows is frames.
    Session,
    /// It is closing.
    Over,
}

impl Server {
    /// Reads requests, and what has to come before them. Returns how many bytes it took: an unfinished head is left,
    /// and so is what follows an upgrade.
    pub(super) fn read_requests(&mut self, index: u32, bytes: &[u8]) -> usize {
        let mut at = match self.read_proxy_header(index, bytes) {
            ControlFlow::Continue(taken) => taken,
            ControlFlow::Break(taken) => return taken,
        };
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(discarded) = self.read_body(index, rest) else {
                return bytes.len();
            };
            if discarded > 0 {
                at += discarded;
                continue;
            }
            match self.read_head(index, rest) {
                Some((Answer::Next, consumed)) => at += consumed,
                Some((Answer::Session, consumed)) => return at + consumed,
                Some((Answer::Over, _)) => return bytes.len(),
                None => return at,
            }
        }
        at
    }

    /// Discards the body of the last request. `None` when the connection is closing.
    fn read_body(&mut self, index: u32, bytes: &[u8]) -> Option<usize> {
        let connection = self.connections.get_mut(index)?;
        let Stage::Request(request) = &mut connection.stage else {
            return None;
        };
        let Some(body) = &mut request.body else {
            return Some(0);
        };
        match body.feed(bytes) {
            Ok(taken) => {
                if body.is_done() {
                    request.body = None;
                }
                Some(taken)
            }
            Err(refusal) => {
                // The request was answered long ago: it is only the program that is told.
                self.note_refused_request(index, refusal.status());
                self.close_quietly(index);
                None
            }
        }
    }

    /// Reads and answers one request. `None` when its head is not complete.
    fn read_head(&mut self, index: u32, bytes: &[u8]) -> Option<(Answer, usize)> {
        let limits = head_limits(&self.config.limits);
        let connection = self.connections.get_mut(index)?;
        let Stage::Request(request) = &mut connection.stage else {
            return Some((Answer::Over, 0));
        };
        if request.scan == 0 && self.timers.armed(index) == Some(class::KEEP_ALIVE) {
            self.timers.arm(index, class::HANDSHAKE, self.now.mono);
        }
        let mut scan = request.scan as usize;
        match RequestHead::parse(bytes, &limits, &mut scan) {
            Ok(Parsed::Partial) => {
                // Within the limit of a head; searching a part of it again would do no harm.
                request.scan = u32::try_from(scan).unwrap_or_default();
                None
            }
            Ok(Parsed::Complete { head, consumed }) => {
                request.scan = 0;
                Some((self.answer(index, &head), consumed))
            }
            Err(refusal) => {
                self.refuse_request(index, &refusal, None);
                Some((Answer::Over, 0))
            }
        }
    }

    fn answer(&mut self, index: u32, head: &RequestHead<'_>) -> Answer {
        let Some(connection) = self.connections.get(index) else {
            return Answer::Over;
        };
        let listener = connection.listener;
        let route = route(head, listener, self.listener(listener));
        let body = BodyDiscard::new(head.framing, self.config.limits.max_body_bytes);
        let outcome = body.and_then(|body| match route {
            None => Err(Refusal::not_found()),
            Some(Route::Upgrade(kind)) => {
                let upgrade = self.check_upgrade(head)?;
                self.find_client_behind_proxy(index, head)?;
                Ok(self.upgrade(index, in_dialect(kind, &upgrade, head), &upgrade))
            }
            Some(Route::File(file)) => self.answer_file(index, file, head, body),
            Some(plain) => self.answer_plain(index, plain, head, body),
        });
        outcome.unwrap_or_else(|refusal| self.refuse(index, &refusal, head))
    }

    fn check_upgrade(&self, head: &RequestHead<'_>) -> Result<Upgrade<'static>, Refusal> {
        let upgrade = check_upgrade(&self.config, head)?;
        if self.drain != Drain::No {
            return Err(Refusal::unavailable("Server is leaving", Some(1)));
        }
        Ok(upgrade)
    }

    fn upgrade(&mut self, index: u32, kind: Kind, upgrade: &Upgrade<'_>) -> Answer {
        let adopted = self.is_adopted(index);
        if !adopted {
            self.outboxes.direct(index, |out| upgrade.write(out));
        }
        let window = upgrade
            .deflate()
            .map(|agreed| served(agreed.server_window()));
        self.open_session(index, kind, window);
        if adopted {
            self.response_left(index);
        }
        Answer::Session
    }

    fn answer_plain(
        &mut self,
        index: u32,
        route: Route,
        head: &RequestHead<'_>,
        body: BodyDiscard,
    ) -> Result<Answer, Refusal> {
        check_read_only(head)?;
        let health = self.health(route);
        let status = if health.healthy {
            Status::Ok
        } else {
            Status::ServiceUnavailable
        };
        let reply = self.reply_to(head);
        let response = Response::json(status, health.json.as_bytes()).no_store();
        self.outboxes
            .direct(index, |out| response.write(&reply, out));
        Ok(self.after_response(index, body, reply.keep_alive))
    }

    fn answer_file(
        &mut self,
        index: u32,
        file: &WebFile,
        head: &RequestHead<'_>,
        body: BodyDiscard,
    ) -> Result<Answer, Refusal> {
        check_read_only(head)?;
        let reply = self.reply_to(head);
        let response = file.response(head);
        // Few bytes ask for many: who does not take what it has asked for gets no more of it.
        let queued = self.outboxes.queued_bytes(index) as usize;
        if queued + file.bytes() > self.config.limits.max_queued_bytes {
            return Err(Refusal::unavailable("Too much is on its way", Some(1)));
        }
        self.outboxes
            .direct(index, |out| response.write(&reply, out));
        Ok(self.after_response(index, body, reply.keep_alive))
    }

    /// Answers a request with an error; the connection goes on if it can.
    fn refuse(&mut self, index: u32, refusal: &Refusal, head: &RequestHead<'_>) -> Answer {
        let reply = self.reply_to(head);
        let body = BodyDiscard::new(head.framing, self.config.limits.max_body_bytes);
        let goes_on = refusal.keeps_connection() && !self.is_adopted(index);
        let Some(body) = body.ok().filter(|_| goes_on) else {
            self.refuse_request(index, refusal, Some(reply));
            return Answer::Over;
        };
        self.note_refused_request(index, refusal.status());
        self.outboxes
            .direct(index, |out| refusal.write(&reply, out));
        self.after_response(index, body, reply.keep_alive)
    }

    /// How to answer `head`. A client that waits for `100 Continue` before its body gets its answer instead,
    /// and then the end: whether it sends the body all the same cannot be known.
    fn reply_to(&self, head: &RequestHead<'_>) -> ReplyTo {
        let reply = ReplyTo::request(head, self.now.unix_ms);
        ReplyTo {
            keep_alive: reply.keep_alive && !head.expects_continue,
            ..reply
        }
    }

    /// Answers something that is no request, or too late for one, and closes.
    pub(super) fn refuse_request(&mut self, index: u32, refusal: &Refusal, reply: Option<ReplyTo>) {
        self.note_refused_request(index, refusal.status());
        if self.is_adopted(index) {
            return self.refuse_adopted(index, refusal);
        }
        let reply = reply.unwrap_or_else(|| ReplyTo::unparsed(self.now.unix_ms));
        let reply = ReplyTo {
            keep_alive: false,
            ..reply
        };
        self.outboxes
            .direct(index, |out| refusal.write(&reply, out));
        self.end_requests(index);
        self.outboxes.set_shut(index, true);
    }

    /// What comes after a plain response: a body to discard, the next request, or the end.
    fn after_response(&mut self, index: u32, body: BodyDiscard, keep_alive: bool) -> Answer {
        let connection = self.connections.get_mut(index);
        let (true, Some(connection)) = (keep_alive, connection) else {
            self.end_requests(index);
            self.outboxes.set_shut(index, true);
            return Answer::Over;
        };
        if let Stage::Request(request) = &mut connection.stage {
            request.body = (!body.is_done()).then(|| Box::new(body));
        }
        self.timers.arm(index, class::KEEP_ALIVE, self.now.mono);
        Answer::Next
    }

    fn health(&self, route: Route) -> Health {
        let others = self.links.held_elsewhere();
        let overloaded = self.is_overloaded() || others.overloaded;
        let status = match (route, self.drain, overloaded) {
            (Route::Live, ..) => "healthy",
            (_, Drain::No, false) => "healthy",
            (_, Drain::No, true) => "overloaded",
            _ => "draining",
        };
        let uptime = self
            .now
            .mono
            .saturating_since(self.started.unwrap_or_default());
        Health {
            healthy: status == "healthy",
            json: format!(
                r#"{{"status":"{status}","clients":{},"rooms":{},"uptime":{:.3}}}"#,
                self.clients + others.clients,
                self.rooms_held() + others.rooms,
                uptime.as_secs_f64(),
            ),
        }
    }

    /// Closes a session whose memory the server cannot spare.
    pub(super) fn close_over_budget(&mut self, index: u32) {
        self.stats.over_budget += 1;
        let goodbye = Goodbye::overflow(CloseCause::Budget, "server is out of memory");
        self.close_session(index, &goodbye);
    }
}

struct Health {
    healthy: bool,
    json: String,
}

/// What is only there to be read.
fn check_read_only(head: &RequestHead<'_>) -> Result<(), Refusal> {
    match head.method {
        Method::Get | Method::Head => Ok(()),
        _ => Err(Refusal::method_not_allowed("GET, HEAD")),
    }
}

fn route(head: &RequestHead<'_>, listener: ListenerId, offers: &ListenerConfig) -> Option<Route> {
    let path = head.target.path();
    let has_page = offers.page && offers.web && !offers.raw_payloads;
    let client = Route::Upgrade(Kind::Client(if offers.raw_payloads {
        WireForm::JsonRaw
    } else {
        WireForm::Json
    }));
    match path {
        "/echo" if offers.echo => Some(Route::Upgrade(Kind::Echo)),
        // Who has upgraded it has chosen the path.
        _ if listener == ListenerId::ADOPTED => Some(client),
        "/" if has_page && !is_for_websocket(head) => WebFile::of_page_at(path).map(Route::File),
        "/" | "/ws" => Some(client),
        "/health" if offers.health => Some(Route::Health),
        "/health/live" if offers.health => Some(Route::Live),
        "/health/ready" if offers.health => Some(Route::Ready),
        _ if has_page && path.starts_with("/page/") => WebFile::of_page_at(path).map(Route::File),
        _ if offers.web => WebFile::at(path).map(Route::File),
        _ => None,
    }
}

/// Whether a request has anything of a handshake, be it a bad one: then it is no browser's that shows a page.
fn is_for_websocket(head: &RequestHead<'_>) -> bool {
    head.headers().any(|(name, _)| {
        let beginning = name.get(..FIELDS_BEGIN.len());
        name.eq_ignore_ascii_case("upgrade")
            || beginning.is_some_and(|it| it.eq_ignore_ascii_case(FIELDS_BEGIN))
    })
}

/// What a client's connection speaks: what its subprotocol says, or, without one, its query.
fn in_dialect(kind: Kind, upgrade: &Upgrade<'_>, head: &RequestHead<'_>) -> Kind {
    let binary = match upgrade.protocol() {
        Some(protocol) => protocol == BINARY,
        None => {
            // As it stands, not decoded: a recording that masks everything else keeps just this.
            let mut pairs = head.target.query().unwrap_or_default().split('&');
            pairs.find_map(|pair| pair.strip_prefix("dialect=")) == Some("binary")
        }
    };
    match kind {
        Kind::Client(_) if binary => Kind::Client(WireForm::Binary),
        kind => kind,
    }
}

/// How large a request's head may be.
pub(super) const fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits {
        max_bytes: limits.max_head_bytes,
        max_headers: limits.max_headers,
    }
}

/// What can be said of a handshake without knowing how the server stands.
pub(super) fn check_upgrade(
    config: &Config,
    head: &RequestHead<'_>,
) -> Result<Upgrade<'static>, Refusal> {
    let upgrade = handshake::check(head, &SUBPROTOCOLS, compresses(&config.compression, head))?;
    if !origin::allowed(&config.origin, head.values("origin"), head.host.as_ref()) {
        return Err(Refusal::forbidden(
            "Origin not allowed: list it with --allow-origin",
        ));
    }
    Ok(upgrade)
}

/// Whether compression is served to whoever asks so.
fn compresses(compression: &Compression, head: &RequestHead<'_>) -> bool {
    let denied = |agent: &[u8]| {
        let mut patterns = compression.deny_user_agents.iter();
        patterns.any(|pattern| agents::matches(pattern, agent))
    };
    compression.enabled && !head.values("user-agent").any(denied)
}

/// How all header fields begin that only handshakes have.
const FIELDS_BEGIN: &str = "Sec-WebSocket-";
/// Subprotocols that are spoken.
const SUBPROTOCOLS: [&str; 2] = ["roomwire.json.v1", BINARY];
/// The one that is not text.
const BINARY: &str = "roomwire.binary.v1";
