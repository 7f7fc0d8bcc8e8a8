//! `tap --reconnect`: prints what comes for some rooms, and stays when the connection goes.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::chat::lines::{Pen, room_message};
use super::options::Tap;
use super::show::{Form, Shown, line};
use super::waiting::Waiting;
use crate::cli::{FAILURE, SUCCESS, complain};
use crate::client::{
    Client, EndCause, Event, Events, Failed, Message, Receipt, RoomMessage, Runtime, State, Told,
};
use crate::clock::ClockBase;
use crate::error::RunError;
use crate::signals::Shutdown;

/// Events that are taken before anything else has its turn.
const AT_ONCE: usize = 256;

/// Runs until a signal, `--count`, or the end of the client; returns the exit code.
pub(super) fn run<R: Runtime>(
    name: &str,
    asked: &Tap,
    (client, mut events): (Client<R>, Events),
    timeout: Duration,
) -> Result<u8, RunError> {
    let joins = asked.room.iter().filter_map(|room| client.join(room).ok());
    let mut watch = Watch {
        name,
        form: if asked.json { Form::Json } else { Form::Text },
        left: asked.session.count,
        joins: joins.collect(),
        clock: ClockBase::new(),
        has_opened: false,
        code: SUCCESS,
        leaves: false,
        out: String::new(),
    };
    let mut waiting = Waiting::new()?;
    let waker = waiting.waker();
    let mut since = None;
    loop {
        let mut cx = Context::from_waker(&waker);
        let mut more = true;
        for _ in 0..AT_ONCE {
            match Pin::new(&mut events).poll_next(&mut cx) {
                Poll::Ready(Some(event)) => watch.event(&client, event),
                Poll::Ready(None) => return watch.print().map(|()| watch.code),
                Poll::Pending => {
                    more = false;
                    break;
                }
            }
        }
        watch.joined(&mut cx);
        watch.print()?;
        if watch.leaves {
            client.close();
            since.get_or_insert_with(Instant::now);
        }
        let left = since.map(|since| timeout.saturating_sub(since.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(watch.code);
        }
        let patience = if more { Some(Duration::ZERO) } else { left };
        let woken = waiting.wait(false, patience)?;
        match woken.asked {
            Some(Shutdown::Abort) => return Ok(FAILURE),
            Some(Shutdown::Drain) => watch.leaves = true,
            None => watch.leaves |= woken.is_unheard,
        }
    }
}

struct Watch<'a> {
    name: &'a str,
    form: Form,
    /// How many messages are still to come.
    left: Option<u64>,
    joins: VecDeque<Receipt>,
    clock: ClockBase,
    has_opened: bool,
    code: u8,
    leaves: bool,
    out: String,
}

impl Watch<'_> {
    fn event<R: Runtime>(&mut self, client: &Client<R>, event: Event) {
        match event {
            Event::Opened { protocol } => {
                let protocol = protocol.as_deref();
                self.show(true, Shown::Open { protocol });
                if self.has_opened {
                    complain(self.name, "connected again");
                }
                self.has_opened = true;
            }
            Event::Closed(closed) if client.state() == State::Closed && self.leaves => {
                let (code, reason) = (Some(closed.code), &*closed.reason);
                self.show(true, Shown::Close { code, reason });
            }
            Event::Closed(closed) => {
                let why = client.last_error();
                let pen = Pen { colours: false };
                let what = pen.closed(&closed, why.as_deref());
                complain(self.name, what.trim_start_matches("! "));
                if !self.has_opened {
                    // Where nobody is to begin with, nobody has to be waited for.
                    self.give_up();
                }
            }
            Event::Ended(EndCause::Command) => {}
            Event::Ended(_) => self.give_up(),
            Event::Message(message) => self.message(&message),
            Event::RoomMessage(RoomMessage { room, said, offset }) => {
                self.count(&room_message(&room, &said, offset));
            }
            Event::Binary(bytes) => self.show(true, Shown::Binary(&bytes)),
            Event::Gap { room, gap } => complain(
                self.name,
                format_args!(
                    "{room}: messages {} to {} are not kept any more",
                    gap.from, gap.to
                ),
            ),
            Event::Reset { room, .. } => {
                complain(self.name, format_args!("{room}: its log has begun anew"));
            }
            _ => {}
        }
    }

    fn message(&mut self, message: &Message) {
        self.count(&message.text);
        // A room that would not have it back after a reconnect.
        if matches!(message.told, Told::Error { .. }) {
            complain(self.name, super::chat::lines::refusal(message));
            self.give_up();
        }
    }

    /// What has become of the first joins.
    fn joined(&mut self, cx: &mut Context<'_>) {
        for _ in 0..self.joins.len() {
            let Some(mut receipt) = self.joins.pop_front() else {
                return;
            };
            match Pin::new(&mut receipt).poll(cx) {
                Poll::Pending => self.joins.push_back(receipt),
                Poll::Ready(Ok(message)) => {
                    message.iter().for_each(|message| self.count(&message.text));
                }
                Poll::Ready(Err(Failed::Refused(message))) => self.message(&message),
                // It is joined later.
                Poll::Ready(Err(_)) => {}
            }
        }
    }

    fn give_up(&mut self) {
        self.code = FAILURE;
        self.leaves = true;
    }

    /// Shows a message, and counts it.
    fn count(&mut self, text: &str) {
        if self.left == Some(0) {
            return;
        }
        self.show(true, Shown::Text(text));
        if let Some(left) = &mut self.left {
            *left -= 1;
            self.leaves |= *left == 0;
        }
    }

    fn show(&mut self, came: bool, shown: Shown<'_>) {
        let line = line(self.form, self.clock.now().unix_ms, came, shown);
        self.out.push_str(&line);
    }

    fn print(&mut self) -> Result<(), RunError> {
        let out = std::mem::take(&mut self.out);
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(out.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.leaves = true;
                Ok(())
            }
            outcome => outcome.map_err(RunError::io("writing to stdout")),
        }
    }
}
