//! What a client's handles and its driver share: what was asked for, what has come, and who waits for which.
//!
//! Nothing is asked for while something is awaited: a request is handed in whole by the call that makes it, and what
//! comes of it stands here until somebody takes it. So a future can be dropped at any time: it only looked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use roomwire_core::ClientId;
use roomwire_core::client::session::{Command, Dropped, Event, Item, Outcome, State};

use super::Refused;
use crate::mailbox::MAILBOX;

#[derive(Debug)]
pub(super) struct Desk(Mutex<Inside>);

#[derive(Debug)]
struct Inside {
    /// What the driver has not taken yet.
    commands: VecDeque<Command>,
    /// Everything ends; what is on the desk goes first.
    closes: bool,
    /// The driver was told so.
    said_close: bool,
    wakes: bool,
    /// The driver has something to look at.
    is_news: bool,
    driver: Option<Waker>,
    /// Those who wait until there is room for commands, or for the end.
    crowd: Vec<Waker>,
    /// By item: all that are on their way, and outcomes that wait for who asked.
    slots: BTreeMap<u64, Slot>,
    last_item: u64,
    events: VecDeque<Event>,
    max_events: usize,
    reader: Option<Waker>,
    /// Somebody takes events.
    is_read: bool,
    state: State,
    client_id: Option<ClientId>,
    trouble: Option<String>,
    /// The driver is gone: nothing more comes.
    is_over: bool,
}

#[derive(Debug)]
enum Slot {
    /// Who asked waits, or may.
    Awaited {
        is_queued: bool,
        waker: Option<Waker>,
    },
    /// Who asked has gone: the outcome is an event.
    Left,
    Done(Outcome),
}

/// A waker that is called when the lock is free again.
type Call = Option<Waker>;

fn call(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

impl Desk {
    pub(super) const fn new(max_events: usize) -> Self {
        Self(Mutex::new(Inside {
            commands: VecDeque::new(),
            closes: false,
            said_close: false,
            wakes: false,
            is_news: false,
            driver: None,
            crowd: Vec::new(),
            slots: BTreeMap::new(),
            last_item: 0,
            events: VecDeque::new(),
            max_events,
            reader: None,
            is_read: true,
            state: State::Connecting,
            client_id: None,
            trouble: None,
            is_over: false,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- for handles

    /// Hands in a command, whole.
    pub(super) fn submit(&self, command: impl FnOnce(Item) -> Command) -> Result<Item, Refused> {
        let (item, driver) = {
            let mut inside = self.lock();
            if inside.closes || inside.is_over || inside.state == State::Closed {
                return Err(Refused::Closed);
            }
            if inside.commands.len() >= MAILBOX {
                return Err(Refused::Full);
            }
            inside.last_item += 1;
            let number = inside.last_item;
            inside.commands.push_back(command(Item(number)));
            let (is_queued, waker) = (false, None);
            inside
                .slots
                .insert(number, Slot::Awaited { is_queued, waker });
            (Item(number), inside.ring())
        };
        call(driver);
        Ok(item)
    }

    pub(super) fn close(&self) {
        let driver = {
            let mut inside = self.lock();
            inside.closes = true;
            inside.ring()
        };
        call(driver);
    }

    pub(super) fn wake(&self) {
        let driver = {
            let mut inside = self.lock();
            inside.wakes = true;
            inside.ring()
        };
        call(driver);
    }

    pub(super) fn state(&self) -> State {
        self.lock().state
    }

    pub(super) fn client_id(&self) -> Option<ClientId> {
        self.lock().client_id
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// Whether there is room for another command; who waits for that is woken.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<Result<(), Refused>> {
        let mut inside = self.lock();
        if inside.closes || inside.is_over || inside.state == State::Closed {
            Poll::Ready(Err(Refused::Closed))
        } else if inside.commands.len() < MAILBOX {
            Poll::Ready(Ok(()))
        } else {
            inside.join_crowd(cx);
            Poll::Pending
        }
    }

    pub(super) fn poll_over(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inside = self.lock();
        if inside.is_over {
            return Poll::Ready(());
        }
        inside.join_crowd(cx);
        Poll::Pending
    }

    // ---- for receipts

    pub(super) fn poll_outcome(&self, item: Item, cx: &Context<'_>) -> Poll<Outcome> {
        let mut inside = self.lock();
        match inside.slots.get_mut(&item.0) {
            Some(Slot::Awaited { waker, .. }) => {
                renew(waker, cx);
                Poll::Pending
            }
            Some(Slot::Done(_)) => match inside.slots.remove(&item.0) {
                Some(Slot::Done(outcome)) => Poll::Ready(outcome),
                _ => Poll::Pending,
            },
            // Who has taken it asks no more.
            Some(Slot::Left) | None => Poll::Pending,
        }
    }

    pub(super) fn is_queued(&self, item: Item) -> bool {
        let inside = self.lock();
        let slot = inside.slots.get(&item.0);
        matches!(
            slot,
            Some(Slot::Awaited {
                is_queued: true,
                ..
            })
        )
    }

    /// Who asked has gone: what is not taken is an event.
    pub(super) fn leave(&self, item: Item) {
        let reader = {
            let mut inside = self.lock();
            match inside.slots.remove(&item.0) {
                Some(Slot::Done(outcome)) => inside.tell(Event::Outcome { item, outcome }),
                Some(Slot::Awaited { .. } | Slot::Left) => {
                    inside.slots.insert(item.0, Slot::Left);
                    None
                }
                None => None,
            }
        };
        call(reader);
    }

    // ---- for who takes events

    pub(super) fn poll_event(&self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let (event, driver) = {
            let mut inside = self.lock();
            let Some(event) = inside.events.pop_front() else {
                if inside.is_over {
                    return Poll::Ready(None);
                }
                renew(&mut inside.reader, cx);
                return Poll::Pending;
            };
            // At half, so that neither is woken for each.
            let has_room = inside.events.len() == inside.max_events / 2;
            (event, if has_room { inside.ring() } else { None })
        };
        call(driver);
        Poll::Ready(Some(event))
    }

    /// Nobody takes events any more.
    pub(super) fn close_events(&self) {
        let (_events, driver) = {
            let mut inside = self.lock();
            inside.is_read = false;
            (std::mem::take(&mut inside.events), inside.ring())
        };
        call(driver);
    }

    // ---- for the driver

    /// Whether there is something to look at; the driver is woken when there is.
    pub(super) fn poll_news(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inside = self.lock();
        if std::mem::take(&mut inside.is_news) {
            return Poll::Ready(());
        }
        renew(&mut inside.driver, cx);
        Poll::Pending
    }

    /// The next command; none while there is no room for what would come of it.
    pub(super) fn next_command(&self) -> Option<Command> {
        let (command, crowd) = {
            let mut inside = self.lock();
            inside.is_news = false;
            if std::mem::take(&mut inside.wakes) {
                return Some(Command::Wake);
            }
            if inside.is_full() {
                return None;
            }
            let command = inside.commands.pop_front();
            let is_last = command.is_none() && inside.closes && !inside.said_close;
            inside.said_close |= is_last;
            let had_none = inside.commands.len() + 1 == MAILBOX;
            let crowd = if had_none {
                std::mem::take(&mut inside.crowd)
            } else {
                Vec::new()
            };
            (command.or_else(|| is_last.then_some(Command::Close)), crowd)
        };
        call(crowd);
        command
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().is_full()
    }

    /// Takes an event of the machine's: to who awaits it, or to who takes events.
    pub(super) fn take(&self, event: Event) {
        let waker = self.lock().take(event);
        call(waker);
    }

    /// How the machine stands.
    pub(super) fn look(&self, state: State, client_id: Option<ClientId>) {
        let mut inside = self.lock();
        (inside.state, inside.client_id) = (state, client_id);
    }

    pub(super) fn say_trouble(&self, why: String) {
        self.lock().trouble = Some(why);
    }

    /// The driver is gone, whatever it had still to do.
    pub(super) fn end(&self) {
        let wakers = {
            let mut inside = self.lock();
            inside.is_over = true;
            inside.state = State::Closed;
            inside.commands.clear();
            let mut wakers = std::mem::take(&mut inside.crowd);
            let slots = std::mem::take(&mut inside.slots);
            for (number, slot) in slots {
                let (item, outcome) = (Item(number), Outcome::Dropped(Dropped::Closed));
                match slot {
                    Slot::Left => wakers.extend(inside.tell(Event::Outcome { item, outcome })),
                    Slot::Awaited { waker, .. } => {
                        wakers.extend(waker);
                        inside.slots.insert(number, Slot::Done(outcome));
                    }
                    done @ Slot::Done(_) => {
                        inside.slots.insert(number, done);
                    }
                }
            }
            wakers.extend(inside.reader.take());
            wakers
        };
        call(wakers);
    }
}

impl Inside {
    /// Wakes the driver.
    fn ring(&mut self) -> Call {
        self.is_news = true;
        self.driver.take()
    }

    fn join_crowd(&mut self, cx: &Context<'_>) {
        if !self.crowd.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.crowd.push(cx.waker().clone());
        }
    }

    fn is_full(&self) -> bool {
        self.is_read && !self.closes && self.events.len() >= self.max_events
    }

    fn tell(&mut self, event: Event) -> Call {
        if !self.is_read {
            return None;
        }
        self.events.push_back(event);
        self.reader.take()
    }

    fn take(&mut self, event: Event) -> Call {
        match event {
            Event::Outcome { item, outcome } => match self.slots.remove(&item.0) {
                Some(Slot::Awaited { waker, .. }) => {
                    self.slots.insert(item.0, Slot::Done(outcome));
                    waker
                }
                _ => self.tell(Event::Outcome { item, outcome }),
            },
            Event::Queued(item) => match self.slots.get_mut(&item.0) {
                Some(Slot::Awaited { is_queued, .. }) => {
                    *is_queued = true;
                    None
                }
                _ => self.tell(Event::Queued(item)),
            },
            event => self.tell(event),
        }
    }
}

fn renew(place: &mut Option<Waker>, cx: &Context<'_>) {
    if !place
        .as_ref()
        .is_some_and(|waker| waker.will_wake(cx.waker()))
    {
        *place = Some(cx.waker().clone());
    }
}
