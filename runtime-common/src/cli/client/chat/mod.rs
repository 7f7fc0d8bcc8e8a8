//! `connect` in a terminal: rooms, who is there, what was said, and a connection that comes back.
//!
//! The client itself runs elsewhere; here its events and outcomes become [`lines`], and what is typed becomes
//! [`orders`].

pub(super) mod lines;
mod orders;

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use roomwire_core::ClientId;
use serde_json::{Value, json};

use super::options::Connect;
use super::run::input::Line;
use super::waiting::Waiting;
use crate::cli::{FAILURE, SUCCESS};
use crate::client::{
    Client, EndCause, Event, Events, Failed, Message, Receipt, Refused, RoomMessage, Runtime,
    State, Told,
};
use crate::error::RunError;
use crate::signals::Shutdown;
use lines::{Pen, refusal, room_message};
use orders::{HELP, Order};

/// Events and outcomes that are taken before anything else has its turn.
const AT_ONCE: usize = 256;
/// Clients that are known by the beginning of their id.
const KNOWN: usize = 1_024;

/// Runs until the input ends, or the client; returns the exit code. `timeout`: how long outcomes and the goodbye may take
/// at the end.
pub(super) fn run<R: Runtime>(
    asked: &Connect,
    (client, events): (Client<R>, Events),
    timeout: Duration,
) -> Result<u8, RunError> {
    let for_people = io::stdout().is_terminal();
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut chat = Chat {
        client,
        events,
        pen: Pen {
            colours: for_people && !no_colour,
        },
        for_people,
        url: asked.server.url.to_string(),
        room: None,
        awaited: VecDeque::new(),
        known: VecDeque::new(),
        has_opened: false,
        leaves: false,
        code: SUCCESS,
        is_over: false,
        out: String::new(),
        notes: String::new(),
    };
    for room in &asked.room {
        chat.obey(&Order::Join(room));
    }
    let mut waiting = Waiting::new()?;
    let waker = waiting.waker();
    let mut since: Option<Instant> = None;
    loop {
        let mut cx = Context::from_waker(&waker);
        let more = chat.take(&mut cx);
        chat.print()?;
        if chat.is_over {
            return Ok(chat.code);
        }
        if chat.leaves && chat.awaited.is_empty() {
            chat.client.close();
        }
        if chat.leaves {
            since.get_or_insert_with(Instant::now);
        }
        let left = since.map(|since| timeout.saturating_sub(since.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(FAILURE);
        }
        let patience = if more { Some(Duration::ZERO) } else { left };
        let woken = waiting.wait(!chat.leaves, patience)?;
        match woken.asked {
            None => {}
            Some(Shutdown::Drain) => chat.leave_now(),
            Some(Shutdown::Abort) => return Ok(FAILURE),
        }
        if woken.is_unheard {
            chat.leave_now();
        }
        for line in woken.lines {
            match line {
                Line::Text(text) => chat.obey(&Order::read(&text)),
                Line::Bad(why) => chat.wrong(&format!("a line was not sent: {why}")),
                Line::End => chat.leaves = true,
            }
        }
    }
}

struct Chat<R> {
    client: Client<R>,
    events: Events,
    pen: Pen,
    /// Lines are for people; else messages of the server, one JSON object each, go to stdout, and all else to stderr.
    for_people: bool,
    url: String,
    /// The room that is spoken to.
    room: Option<String>,
    /// What was asked for, in order.
    awaited: VecDeque<(Receipt, Asked)>,
    /// The latest last.
    known: VecDeque<ClientId>,
    has_opened: bool,
    /// Nothing more is read.
    leaves: bool,
    code: u8,
    is_over: bool,
    out: String,
    notes: String,
}

enum Asked {
    History(String),
    Join(String),
    Leave(String),
    Members(String),
    Ping(Instant),
    Raw,
    Say,
}

impl<R: Runtime> Chat<R> {
    // ---- what is printed

    fn line(&mut self, line: &str) {
        let out = if self.for_people {
            &mut self.out
        } else {
            &mut self.notes
        };
        out.push_str(line);
        out.push('\n');
    }

    fn note(&mut self, text: &str) {
        let line = self.pen.note(text);
        self.line(&line);
    }

    fn wrong(&mut self, text: &str) {
        let line = self.pen.wrong(text);
        self.line(&line);
    }

    /// A message of the server, for other programs.
    fn object(&mut self, text: &str) {
        self.out.push_str(&super::show::one_line(text));
        self.out.push('\n');
    }

    fn print(&mut self) -> Result<(), RunError> {
        let notes = std::mem::take(&mut self.notes);
        // Without a stderr there is nobody to tell.
        let _ = io::stderr().lock().write_all(notes.as_bytes());
        let out = std::mem::take(&mut self.out);
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(out.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.leave_now();
                Ok(())
            }
            outcome => outcome.map_err(RunError::io("writing to stdout")),
        }
    }

    fn leave_now(&mut self) {
        self.leaves = true;
        self.awaited.clear();
    }

    // ---- what comes

    /// Takes events and outcomes; whether there may be more.
    fn take(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..AT_ONCE {
            match Pin::new(&mut self.events).poll_next(cx) {
                Poll::Ready(Some(event)) => self.event(event),
                Poll::Ready(None) => {
                    self.is_over = true;
                    break;
                }
                Poll::Pending => {
                    self.outcomes(cx);
                    return false;
                }
            }
        }
        self.outcomes(cx);
        !self.is_over
    }

    /// What became of what was asked for; where it is, is told first.
    fn outcomes(&mut self, cx: &mut Context<'_>) {
        if !self.has_opened && self.client.state() != State::Closed {
            return;
        }
        for _ in 0..self.awaited.len() {
            let Some((mut receipt, asked)) = self.awaited.pop_front() else {
                return;
            };
            match Pin::new(&mut receipt).poll(cx) {
                Poll::Ready(outcome) => self.outcome(asked, outcome),
                Poll::Pending => self.awaited.push_back((receipt, asked)),
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::State(State::Open) => {
                let me = self.client.client_id().map(|id| id.to_string());
                let me = me.unwrap_or_default();
                let again = if self.has_opened { "again " } else { "" };
                self.note(&format!("connected {again}to {} as {me}", self.url));
                self.has_opened = true;
            }
            Event::Closed(closed) => {
                if self.client.state() == State::Closed
                    && closed.reconnect_in.is_none()
                    && self.leaves
                {
                    return;
                }
                let why = self.client.last_error();
                let line = self.pen.closed(&closed, why.as_deref());
                self.line(&line);
                if !self.has_opened {
                    // Where nobody is to begin with, nobody has to be waited for.
                    self.code = FAILURE;
                    self.leave_now();
                }
            }
            Event::Ended(EndCause::Command) => {}
            Event::Ended(_) => {
                self.code = FAILURE;
                self.wrong("the server would not have this client back, or is gone for too long");
            }
            Event::RoomMessage(RoomMessage { room, said, offset }) => {
                self.knows(said.from);
                if self.for_people {
                    let line = self.pen.said(&room, &said);
                    self.line(&line);
                } else {
                    self.object(&room_message(&room, &said, offset));
                }
            }
            Event::Gap { room, gap } => {
                self.wrong(&format!(
                    "{room}: messages {} to {} are not kept any more",
                    gap.from, gap.to
                ));
            }
            Event::Reset { room, .. } => self.wrong(&format!("{room}: its log has begun anew")),
            Event::Message(message) => self.message(&message),
            Event::Binary(bytes) => self.note(&format!("{} bytes", bytes.len())),
            _ => {}
        }
    }

    fn message(&mut self, message: &Message) {
        match &message.told {
            Told::Broadcast(said) | Told::PrivateMessage { said, .. } => self.knows(said.from),
            Told::MemberJoined { client, .. } => self.knows(*client),
            Told::JoinedRoom { members, .. } => members.iter().for_each(|it| self.knows(*it)),
            _ => {}
        }
        if !self.for_people {
            self.object(&message.text);
        } else if let Some(line) = self.pen.message(message) {
            self.line(&line);
        }
    }

    fn knows(&mut self, client: ClientId) {
        self.known.retain(|known| *known != client);
        if self.known.len() >= KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(client);
    }

    fn outcome(&mut self, asked: Asked, outcome: Result<Option<Message>, Failed>) {
        let message = match outcome {
            Ok(message) => message,
            Err(Failed::Refused(message)) => {
                if !self.for_people {
                    self.object(&message.text);
                }
                if let Asked::Join(room) = &asked {
                    self.room = self.room.take().filter(|it| it != room);
                }
                return self.wrong(&refusal(&message));
            }
            Err(Failed::Dropped(why)) => return self.wrong(&format!("not done: {why}")),
        };
        if let (Some(message), false) = (&message, self.for_people) {
            self.object(&message.text);
        }
        match asked {
            Asked::Join(room) => self.joined(&room, message.as_ref()),
            Asked::Leave(room) => {
                self.room = self.room.take().filter(|it| *it != room);
                self.note(&format!("left {room}"));
            }
            Asked::Ping(since) => {
                let ms = since.elapsed().as_secs_f64() * 1_000.0;
                self.note(&format!("an answer after {ms:.1} ms"));
            }
            Asked::Members(room) => self.members(&room, message.as_ref()),
            Asked::History(room) => self.history(&room, message.as_ref()),
            Asked::Raw => {
                if let (Some(message), true) = (message, self.for_people) {
                    let line = super::show::one_line(&message.text);
                    self.line(&line);
                }
            }
            Asked::Say => {}
        }
    }

    fn joined(&mut self, room: &str, message: Option<&Message>) {
        let Some(Told::JoinedRoom { members, total, .. }) = message.map(|it| &it.told) else {
            return;
        };
        members.iter().for_each(|it| self.knows(*it));
        self.note(&format!(
            "in {room}, where there are {total}; /members tells who"
        ));
    }

    fn members(&mut self, room: &str, message: Option<&Message>) {
        let text = message.map(|message| &*message.text).unwrap_or_default();
        let page: Value = serde_json::from_str(text).unwrap_or_default();
        let ids = page["members"].as_array().into_iter().flatten();
        let ids: Vec<_> = ids.filter_map(|id| ClientId::parse(id.as_str()?)).collect();
        let me = self.client.client_id();
        self.note(&format!("in {room} there are {}:", page["total"]));
        for id in ids {
            self.knows(id);
            let who = if Some(id) == me { ", this client" } else { "" };
            self.note(&format!("  {id}{who}"));
        }
        if page["more"] == true {
            self.note("  and more");
        }
    }

    fn history(&mut self, room: &str, message: Option<&Message>) {
        let Some(Told::History(page)) = message.map(|message| &message.told) else {
            return;
        };
        if page.messages.is_empty() {
            self.note(&format!("nothing is kept of {room}"));
        }
        if self.for_people {
            for kept in &page.messages {
                self.knows(kept.said.from);
                let line = self.pen.said(room, &kept.said);
                self.line(&line);
            }
        }
    }

    // ---- what is typed

    fn obey(&mut self, order: &Order<'_>) {
        match *order {
            Order::Nothing => {}
            Order::Help => HELP.lines().for_each(|line| self.note(line)),
            Order::Wrong(expected) => self.wrong(&format!("expected {expected}")),
            Order::Quit => self.leaves = true,
            Order::Wake => self.client.wake(),
            Order::Who => self.who(),
            Order::Ping => {
                let receipt = self.client.request(r#"{"type":"ping"}"#);
                self.await_it(receipt, Asked::Ping(Instant::now()));
            }
            Order::Raw(text) => {
                let receipt = self.client.request(text);
                self.await_it(receipt, Asked::Raw);
            }
            Order::Join(room) => {
                let receipt = self.client.join(room);
                self.await_it(receipt, Asked::Join(room.to_owned()));
                self.room = Some(room.to_owned());
            }
            Order::Room(room) => {
                self.room = Some(room.to_owned());
                self.note(&format!("speaking to {room}"));
            }
            Order::Leave(room) => self.in_room(room, |chat, room| {
                let receipt = chat.client.leave(&room);
                chat.await_it(receipt, Asked::Leave(room));
            }),
            Order::Members(room) => self.in_room(room, |chat, room| {
                let request = json!({"type": "members", "room": room});
                let receipt = chat.client.request(&request.to_string());
                chat.await_it(receipt, Asked::Members(room));
            }),
            Order::History(room, limit) => self.in_room(room, |chat, room| {
                let request = json!({"type": "history", "room": room, "limit": limit});
                let receipt = chat.client.request(&request.to_string());
                chat.await_it(receipt, Asked::History(room));
            }),
            Order::Say(text) => self.in_room(None, |chat, room| {
                let receipt = chat.client.say(&room, &Value::from(text).to_string());
                chat.await_it(receipt, Asked::Say);
            }),
            Order::Tell(to, text) => match self.find(to) {
                Ok(to) => {
                    let receipt = self.client.tell(to, &Value::from(text).to_string());
                    self.await_it(receipt, Asked::Say);
                }
                Err(why) => self.wrong(&why),
            },
        }
    }

    fn in_room(&mut self, room: Option<&str>, act: impl FnOnce(&mut Self, String)) {
        match room.map(str::to_owned).or_else(|| self.room.clone()) {
            Some(room) => act(self, room),
            None => self.wrong("there is no room: /join ROOM joins one"),
        }
    }

    fn await_it(&mut self, receipt: Result<Receipt, Refused>, asked: Asked) {
        match receipt {
            Ok(receipt) => self.awaited.push_back((receipt, asked)),
            Err(why) => self.wrong(&format!("not done: {why}")),
        }
    }

    /// Whose id it is, or begins with this.
    fn find(&self, start: &str) -> Result<ClientId, String> {
        if let Some(client) = ClientId::parse(start) {
            return Ok(client);
        }
        let bare = start.strip_prefix("client_").unwrap_or(start);
        let found = self.known.iter().filter(|known| {
            let id = known.to_string();
            id.strip_prefix("client_")
                .is_some_and(|id| id.starts_with(bare))
        });
        match *found.collect::<Vec<_>>() {
            [one] => Ok(*one),
            [] => Err(format!("no client that was heard of begins with {start}")),
            _ => Err(format!(
                "several clients begin with {start}: more of it, please"
            )),
        }
    }

    fn who(&mut self) {
        let me = self.client.client_id().map(|id| id.to_string());
        let me = me.unwrap_or_else(|| "nobody yet".to_owned());
        let state = match self.client.state() {
            State::Connecting => "connecting",
            State::Resuming => "joining its rooms again",
            State::Open => "connected",
            State::Waiting => "waiting to connect again",
            State::Closed => "closed",
        };
        let room = self.room.clone();
        let room = room
            .map(|room| format!(", speaking to {room}"))
            .unwrap_or_default();
        self.note(&format!(
            "{me}: {state}{room}; {} without an outcome",
            self.awaited.len()
        ));
    }
}
