//! How a step comes to its end: everybody has heard what is to be heard of it, and nothing else.

use std::time::Instant;

use roomwire_core::server::Event;
use serde_json::Value;

use super::{Actor, Item, Play, Step, Told, Who};
use crate::client::Message;
use crate::frame::{Opcode, masked};
use crate::stage::ear::Heard;
use crate::stage::normal::{Normal, shown};
use crate::stage::{End, News};
use crate::tcp::PATIENCE;

impl<'a> Play<'a> {
    /// Waits until everybody has heard what is to be heard of a step.
    pub(super) fn settle(&mut self, what: String) {
        let step = self.take_step(what);
        self.finish_step(step);
    }

    pub(super) fn finish_step(&mut self, step: Step) {
        let differences = self.differences(&step);
        self.must(differences.is_empty(), || {
            format!("{}:\n{differences}", step.what)
        });
        self.steps.push(step);
    }

    fn due(&self) -> Option<&'a Step> {
        let script = self.script?;
        let due = script.get(self.steps.len());
        self.must(due.is_some(), || "there are no further steps".to_owned());
        due
    }

    /// What is heard from now on, as much as is due.
    pub(super) fn take_step(&mut self, what: String) -> Step {
        let due = self.due();
        let patience = Instant::now() + PATIENCE;
        loop {
            let enough = due.is_none_or(|due| self.has_heard(due));
            let news = self.floor.next((!enough).then_some(patience));
            let Some(news) = news else { break };
            self.absorb(news);
        }
        let due = |index: usize| due.map_or(usize::MAX, |due| due.heard[index].len());
        let ids = self.cast.iter().map(|a| (a.id.clone(), a.name.clone()));
        let ids: Vec<_> = ids.collect();
        let normal = Normal {
            ids: &ids,
            unix_ms: self.floor.unix_ms(),
        };
        let told = self.told.drain(..due(0).min(self.told.len()));
        let mut told: Vec<String> = told.map(|told| told.shown(&normal)).collect();
        told.sort();
        let mut heard = vec![told];
        for (index, actor) in self.cast.iter_mut().enumerate() {
            let items = due(index + 1).min(actor.heard.len());
            let items = actor.heard.drain(..items);
            heard.push(items.map(|item| item.shown(&normal)).collect());
        }
        Step { what, heard }
    }

    fn has_heard(&self, due: &Step) -> bool {
        let clients = self.cast.iter().map(|actor| actor.heard.len());
        let all = core::iter::once(self.told.len()).chain(clients);
        all.zip(&due.heard).all(|(count, due)| count >= due.len())
    }

    /// What a step lacks, or has other than is due.
    pub(super) fn differences(&self, step: &Step) -> String {
        let Some(due) = self.due() else {
            return String::new();
        };
        let names = self.cast.iter().map(|actor| actor.name.as_str());
        let names = core::iter::once("the program").chain(names);
        let mut differences = String::new();
        if step.what != due.what {
            differences = format!("this is another step than {}\n", due.what);
        }
        for (name, (heard, due)) in names.zip(step.heard.iter().zip(&due.heard)) {
            differences += &shown(name, heard, due);
        }
        differences
    }

    fn absorb(&mut self, news: News) {
        match news {
            News::Bytes(line, _) | News::End(line, _) if self.actor(line).deaf => {}
            News::Bytes(line, bytes) => self.receive(line, &bytes),
            News::End(line, end) => {
                let actor = self.actor(line);
                let unfinished = actor.ear.unfinished();
                let end = match end {
                    End::Finished if unfinished == 0 => "the end".to_owned(),
                    End::Finished => format!("the end after {unfinished} bytes of something"),
                    End::Reset => "a reset".to_owned(),
                    End::Cut => "the end without TLS's goodbye".to_owned(),
                };
                actor.heard.push_back(Item::Other(end));
                actor.gone = true;
                // A client that has nothing more to hear goes, too.
                self.floor.finish(line);
            }
            // Each shard tells of its own: how often is left to chance.
            News::Event(Event::Refused { kind, .. }) if self.refused.contains(&kind) => {}
            News::Event(event) => {
                match &event {
                    Event::Refused { kind, .. } => {
                        self.refused.insert(*kind);
                    }
                    Event::Opened {
                        connection, client, ..
                    } => {
                        self.opened.insert(client.to_string(), *connection);
                    }
                    Event::Application { request, .. } => self.requests.push_back(*request),
                    _ => {}
                }
                self.told.push_back(Told::Event(event));
            }
            News::Over(in_order) => {
                self.over = true;
                self.told.push_back(Told::Over(in_order));
            }
        }
    }

    fn receive(&mut self, line: usize, bytes: &[u8]) {
        let actor = self.actor(line);
        let mut pongs = Vec::new();
        for heard in actor.ear.hear(bytes) {
            let item = match heard {
                Heard::Answer(answer) => Item::Answer(answer),
                Heard::Message(Message::Text(text)) => {
                    actor.understand(&text);
                    Item::Text(text)
                }
                Heard::Message(Message::Ping(payload)) => {
                    pongs.extend(masked(Opcode::Pong, true, &payload));
                    continue;
                }
                Heard::Message(other) => Item::Other(format!("{other:?}")),
            };
            actor.heard.push_back(item);
        }
        if !pongs.is_empty() && !actor.mute {
            self.floor.write(line, &pongs);
        }
    }

    fn actor(&mut self, line: usize) -> &mut Actor {
        let mut actors = self.cast.iter_mut();
        actors.find(|actor| actor.line == line).expect("a client")
    }

    // ---- the end

    /// Whatever is still on its way has to come before what is said here. Then everybody goes, and the server.
    pub(super) fn leave(&mut self) {
        for who in self.there(|actor| actor.ear.is_upgraded()) {
            self.frame(who, Opcode::Ping, b"last");
        }
        let clients = self.there(|actor| !actor.id.is_empty());
        for &from in &clients {
            for &to in &clients {
                let to = &self.cast[to.0].name;
                let text = format!(
                    r#"{{"type":"private_message","to":"<{to}>","data":"last","id":"last"}}"#
                );
                self.say(from, &text);
            }
            for room in self.cast[from.0].rooms.clone() {
                let room = Value::from(room);
                let text =
                    format!(r#"{{"type":"room_message","room":{room},"data":"last","id":"last"}}"#);
                self.say(from, &text);
            }
        }
        if let Some(&one) = clients.first() {
            self.say(one, r#"{"type":"broadcast","data":"last","id":"last"}"#);
        }
        for who in self.there(|actor| actor.ear.is_upgraded()) {
            self.close(who, 1000, "");
        }
        for who in self.there(|_| true) {
            self.finish(who);
        }
        if !self.over {
            self.drain();
        }
    }

    fn there(&self, which: impl Fn(&Actor) -> bool) -> Vec<Who> {
        let all = self.cast.iter().enumerate();
        let there = all.filter(|(_, actor)| !actor.gone && which(actor));
        there.map(|(index, _)| Who(index)).collect()
    }
}

impl Actor {
    /// What the server tells a client of itself.
    fn understand(&mut self, text: &str) {
        let kinds = [
            "welcome",
            "joined_room",
            "left_room",
            "file_accepted",
            "file_offered",
            "session",
        ];
        let kind = text.strip_prefix(r#"{"type":""#).unwrap_or_default();
        if !kinds.iter().any(|known| kind.starts_with(known)) {
            return;
        }
        let message: Value = serde_json::from_str(text).expect("JSON");
        let room = message["room"].as_str().unwrap_or_default();
        match message["type"].as_str() {
            Some("welcome") if self.id.is_empty() => {
                self.id = message["clientId"].as_str().expect("an id").to_owned();
            }
            Some("joined_room") => {
                self.rooms.insert(room.to_owned());
            }
            Some("file_accepted" | "file_offered") => {
                self.transfer = message["transfer"].to_string();
                let secret = message["transferSecret"].as_str().unwrap_or_default();
                self.secret = secret.to_owned();
            }
            Some("session") => {
                let secret = message["sessionSecret"].as_str().unwrap_or_default();
                self.secret = secret.to_owned();
            }
            Some("left_room") => {
                self.rooms.remove(room);
            }
            _ => {}
        }
    }
}

impl Item {
    fn shown(self, normal: &Normal<'_>) -> String {
        match self {
            Self::Text(text) => format!("text {}", normal.text(&text)),
            Self::Answer(answer) => normal.answer(&answer),
            Self::Other(other) => other,
        }
    }
}

impl Told {
    fn shown(self, normal: &Normal<'_>) -> String {
        match self {
            Self::Event(event) => normal.event(&event),
            Self::Over(true) => "the server has ended".to_owned(),
            Self::Over(false) => "the server has failed".to_owned(),
        }
    }
}
