//! What the program asks for.

use super::event::{Command, Content, Delivery, Dropped, Event, Item, Outcome, State};
use super::queue::{Entry, Waiter, Work};
use super::rooms::Pause;
use super::sending::Pending;
use super::wire::Own;
use super::{Send, Session};
use crate::dialect::json::client::is_object;

impl Session {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Send(send) => self.send(send),
            Command::Join { item, room } => self.join(item, &room),
            Command::Leave { item, room } => self.leave(item, room),
            Command::Wake => self.wake(),
            Command::Credentials {
                attempt,
                credentials,
            } => self.has_credentials(attempt, credentials),
            Command::Close => self.close(),
        }
    }

    fn send(&mut self, send: Send) {
        let is_sound = match &send.content {
            Content::Json(text) | Content::Request(text) => is_object(text),
            Content::Binary(_) | Content::Text(_) => true,
        };
        if self.state == State::Closed {
            self.drop_item(send.item, Dropped::Closed);
        } else if is_sound {
            let work = Work::Content(send.content);
            self.submit(send.item, work, send.delivery, send.urgent);
        } else {
            self.drop_item(send.item, Dropped::NotAnObject);
        }
    }

    /// Sends something if that can be done at once, and queues it otherwise.
    fn submit(&mut self, item: Item, work: Work, delivery: Delivery, is_urgent: bool) {
        self.last_order += 1;
        let naming = self.names.of(&work, delivery);
        let mut entry = Entry {
            item,
            work,
            delivery,
            naming,
            order: self.last_order,
            since: self.now,
        };
        let is_open = self.state == State::Open;
        let goes_alone = self.config.batching.is_none_or(|batching| {
            is_urgent
                || entry.bytes() >= batching.max_bytes
                || matches!(entry.work, Work::Join { .. } | Work::Leave { .. })
        });
        if is_open && goes_alone {
            // What is before it goes first. Whatever may be sent at once need not fit into the queue.
            self.urgent_order = self.last_order;
            self.flush();
            if self.queue.is_empty() {
                self.queue.push_anyway(entry);
                self.flush();
                match self.queue.pop() {
                    Some(waits) => entry = waits,
                    None => return,
                }
            }
        }
        match self.queue.push(entry) {
            Ok(()) => {
                self.tell(Event::Queued(item));
                self.flush();
            }
            Err(_) => self.drop_item(item, Dropped::QueueFull),
        }
    }

    fn submit_join(&mut self, item: Item, room: u64, name: &str) {
        let name = name.to_owned();
        self.submit(item, Work::Join { room, name }, Delivery::AtMostOnce, true);
    }

    fn join(&mut self, item: Item, name: &str) {
        if self.state == State::Closed {
            return self.drop_item(item, Dropped::Closed);
        }
        let known = self.rooms.number(name);
        if known.is_none() && self.rooms.len() >= self.config.max_rooms {
            return self.drop_item(item, Dropped::TooManyRooms);
        }
        let number = known.unwrap_or_else(|| self.rooms.add(name));
        if self.attach(number, item) {
            return;
        }
        let is_on_link = self.rooms.get(number).is_some_and(|room| room.is_on_link);
        if self.state == State::Open || is_on_link {
            return self.submit_join(item, number, name);
        }
        let since = self.now;
        let waiter = Waiter {
            item,
            room: number,
            since,
        };
        if self.queue.wait(waiter).is_ok() {
            self.tell(Event::Queued(item));
        } else {
            if known.is_none() {
                self.rooms.remove(number);
            }
            self.drop_item(item, Dropped::QueueFull);
        }
    }

    /// A room that is being joined is not asked for twice. Whether that is so.
    pub(super) fn attach(&mut self, number: u64, item: Item) -> bool {
        let most = self.config.queue_messages.max(1);
        let Some(room) = self.rooms.get(number) else {
            return false;
        };
        let items = if let Some(Pause { items, .. }) = &mut room.pause {
            items
        } else {
            let asked = room.asked.and_then(|id| self.pending.get_mut(&id));
            let Some(Pending::Join { items, .. }) = asked else {
                return false;
            };
            items
        };
        if items.len() < most {
            items.push(item);
        } else {
            self.drop_item(item, Dropped::QueueFull);
        }
        true
    }

    fn leave(&mut self, item: Item, name: String) {
        if self.state == State::Closed {
            return self.drop_item(item, Dropped::Closed);
        }
        let number = self.rooms.number(&name);
        let was_on_link = number.map(|number| self.remove_room(number));
        match (self.state, was_on_link) {
            (State::Connecting | State::Waiting, _) | (_, Some(false)) => {
                self.tell_outcome(item, Outcome::Left);
            }
            // Before what waits, which is about to be said in a room that nobody wants to be in any more.
            (State::Resuming, Some(true)) if self.leave_now(item, &name) => {}
            _ => self.submit(item, Work::Leave { name }, Delivery::AtMostOnce, true),
        }
    }

    fn leave_now(&mut self, item: Item, name: &str) -> bool {
        let id = self.say(Own::Leave { room: name });
        if let Some(id) = id {
            self.pending.insert(id, Pending::Leave { item });
        }
        id.is_some()
    }

    /// The room is not wanted any more. Whether the server may take the session to be in it.
    pub(super) fn remove_room(&mut self, number: u64) -> bool {
        for item in self.queue.take_waiters(number) {
            self.drop_item(item, Dropped::Left);
        }
        let Some(room) = self.rooms.remove(number) else {
            return false;
        };
        if let Some(pause) = room.pause {
            self.slots -= usize::from(pause.has_slot);
            for item in pause.items {
                self.drop_item(item, Dropped::Left);
            }
        }
        room.is_on_link
    }
}
