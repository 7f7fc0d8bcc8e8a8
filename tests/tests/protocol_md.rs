//! `core/PROTOCOL.md` holds: its examples are run over the pure core, its tables are compared with the code.
//!
//! The notation of the examples is explained where that file begins.

#[path = "registry/examples.rs"]
mod examples;
#[path = "registry/schemas.rs"]
mod schemas;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use data_encoding::HEXLOWER;
use examples::Looker;
use roomwire_core::config::{Config, ListenerConfig, RoomRule};
use roomwire_core::dialect::json::is_reserved_type;
use roomwire_core::server::{Command, Event, Outcome, RequestToken};
use roomwire_core::{ClientId, ErrorCode};
use roomwire_tests::{
    Driver, Message, Opcode, Peer, Shards, Upgrade, World, masked, shards_of_tests,
};
use serde_json::Value;

const PROTOCOL: &str = include_str!("../../core/PROTOCOL.md");
const MESSAGES: &str = include_str!("../../core/src/message.rs");
const FILES: &str = include_str!("../../core/src/message/files.rs");
const TYPES: &str = include_str!("../../core/src/dialect/json/types.rs");

// ---- the examples

// covers A0-13, A1-16, A2-08
#[test]
fn every_example_is_what_happens() {
    for block in blocks("roomwire") {
        let mut scene = Scene::default();
        for (number, line) in &block {
            let played =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scene.play(line)));
            assert!(played.is_ok(), "PROTOCOL.md:{number}: {line}");
        }
        let (number, line) = block.last().expect("an example is not empty");
        let left = scene.left();
        assert_eq!(left, [], "PROTOCOL.md:{number}: not shown after {line}");
        scene.looker.ends();
    }
}

// covers A3-18, A9-02
#[test]
fn every_handshake_is_what_happens() {
    for block in blocks("http") {
        let lines: Vec<&str> = block.iter().map(|(_, line)| line.as_str()).collect();
        let blank = lines.iter().position(|line| line.is_empty());
        let (request, response) = lines.split_at(blank.expect("a request and a response"));
        let mut world = World::default();
        let peer = world.accept(&Upgrade::default());
        world.send_bytes(peer, (request.join("\r\n") + "\r\n\r\n").as_bytes());
        let head = world.client(peer).response.clone().unwrap_or_default();
        let expected = response.iter().filter(|line| !line.is_empty());
        for line in expected {
            assert!(head.lines().any(|l| l == *line), "{line} is not in {head}");
        }
    }
}

/// A server and the clients of one example.
#[derive(Default)]
struct Scene {
    config: Config,
    /// How many threads it has, where that is told.
    shards: Option<u8>,
    world: Option<World>,
    clients: BTreeMap<String, Actor>,
    requests: VecDeque<RequestToken>,
    /// The answer to the last plain HTTP request.
    response: Option<String>,
    /// Whether all of it is as the registry of messages says.
    looker: Looker,
}

struct Actor {
    peer: Peer,
    id: String,
    welcome: Option<String>,
    /// What resumes its session.
    secret: Option<String>,
}

impl Scene {
    fn play(&mut self, line: &str) {
        let mut parts = line.splitn(3, ' ');
        let (who, arrow) = (parts.next().unwrap_or_default(), parts.next());
        let rest = parts.next().unwrap_or_default();
        match (who, arrow) {
            ("*", Some(_)) => self.direct(line.trim_start_matches("* ")),
            ("http", Some(">")) => self.ask(rest),
            ("http", Some("<")) => self.expect_response(rest),
            (name, Some(">")) => self.say(name, rest),
            (name, Some("<")) => {
                let heard = self.next(name);
                let pattern = self.fill(rest);
                let heard = heard.unwrap_or_else(|| "nothing".to_owned());
                let as_shown = match in_hex(&pattern) {
                    Some(pattern) => is_frame(&pattern, &heard),
                    None => matches(&pattern, &heard),
                };
                assert!(as_shown, "{name} heard {heard}");
                self.looker.hears(name, &heard);
            }
            _ => panic!("not in the notation"),
        }
    }

    fn direct(&mut self, what: &str) {
        let words: Vec<&str> = what.split(' ').collect();
        let after = |prefix: &str| what.strip_prefix(prefix);
        if let Some(json) = after("config ") {
            self.config = serde_json::from_str(json).expect("a config");
        } else if let Some(json) = after("listener ") {
            self.config.listeners = vec![serde_json::from_str(json).expect("a listener")];
        } else if let Some(json) = after("application types ") {
            self.config.application_types = serde_json::from_str(json).expect("types");
        } else if let Some(json) = after("the program replies ") {
            self.answer(Outcome::Reply(json.to_owned()));
        } else if let Some(code) = after("the program refuses with ") {
            let code = ErrorCode::ALL.into_iter().find(|c| c.as_str() == code);
            self.answer(Outcome::Error {
                code: code.expect("an error code"),
                message: "no".to_owned(),
            });
        } else if what == "the server drains" {
            self.world().command(Command::Drain);
        } else {
            self.act(&words, what);
        }
    }

    fn act(&mut self, words: &[&str], what: &str) {
        match words {
            [ms, "ms", "pass"] => {
                let ms = ms.parse().expect("a number");
                self.world().advance_ms(ms);
            }
            ["the", "server", "has", count, "threads"] => {
                self.shards = Some(count.parse().expect("a number"));
            }
            ["the", "thread", "with", "the", "books", "of", room, "fails"] => {
                let home = self.world().machine().home_of(room);
                self.world().restart(home);
            }
            ["the", "program", "kicks", name, "from", room] => {
                let peer = self.peer(name);
                let connection = self.world().connection(peer);
                self.world().command(Command::Kick {
                    connection,
                    room: (*room).to_owned(),
                });
            }
            [name, "connects"] => self.connect(name, None),
            [name, "connects", "and", "sends", "at", "once", ..] => {
                let (_, message) = what.split_once("at once ").expect("a message");
                self.connect(name, Some(message));
            }
            [name, "disconnects"] => {
                let peer = self.peer(name);
                self.world().finish(peer);
            }
            [name, "reads", "nothing"] => {
                let peer = self.peer(name);
                self.world().stall(peer);
            }
            [name, "reads", "again"] => {
                let peer = self.peer(name);
                self.world().release(peer);
            }
            [name, "answers", "no", "pings"] => {
                let peer = self.peer(name);
                self.world().mute(peer);
            }
            [name, "sends", "a", "binary", "message"] => {
                let peer = self.peer(name);
                self.world().send_frame(peer, Opcode::Binary, &[1, 2, 3]);
            }
            _ => panic!("not in the notation"),
        }
    }

    /// The server, made when it is first needed.
    fn world(&mut self) -> &mut World {
        let config = &self.config;
        let shards = self.shards.unwrap_or_else(shards_of_tests);
        self.world.get_or_insert_with(|| {
            let mut world = World::of_shards(config.clone(), shards);
            // Whoever reads nothing has not even one message in its socket.
            let driver: &mut Driver<Shards> = world.driver();
            driver.set_capacity(64);
            world
        })
    }

    /// A client that has connected, now if it has not been named before.
    fn peer(&mut self, name: &str) -> Peer {
        if !self.clients.contains_key(name) {
            self.connect(name, None);
            self.next(name);
        }
        self.clients[name].peer
    }

    fn connect(&mut self, name: &str, first: Option<&str>) {
        assert!(name.chars().all(|c| c.is_ascii_lowercase()), "{name}");
        let welcome_delay_ms = self.config.timeouts.welcome_delay_ms;
        let world = self.world();
        let upgrade = Upgrade::default();
        let peer = world.accept(&upgrade);
        world.post(peer, &upgrade.request());
        match first {
            Some(message) => {
                world.post(peer, &masked(Opcode::Text, true, message.as_bytes()));
                world.settle();
            }
            None => world.advance_ms(welcome_delay_ms),
        }
        let welcome = world.next_text(peer).expect("a welcome");
        let parsed: Value = serde_json::from_str(&welcome).expect("JSON");
        let actor = Actor {
            peer,
            id: parsed["clientId"].as_str().expect("an id").to_owned(),
            welcome: Some(welcome),
            secret: None,
        };
        self.clients.insert(name.to_owned(), actor);
    }

    fn say(&mut self, name: &str, text: &str) {
        let peer = self.peer(name);
        let text = self.fill(text);
        self.looker.says(name, &text);
        if let Some(hex) = in_hex(&text) {
            let bytes = HEXLOWER.decode(hex.replace(ANY_BYTE, "00").as_bytes());
            let frame = bytes.expect("hexadecimal digits");
            return self.world().send_frame(peer, Opcode::Binary, &frame);
        }
        let Some(close) = text.strip_prefix("close ") else {
            return self.world().send_text(peer, &text);
        };
        let (code, reason) = close.split_once(' ').expect("a code and a reason");
        let code: u16 = code.parse().expect("a code");
        let reason: String = serde_json::from_str(reason).expect("a string");
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.world().send_frame(peer, Opcode::Close, &payload);
    }

    /// The next message to a client as the notation shows it; to one that is new, its welcome.
    fn next(&mut self, name: &str) -> Option<String> {
        if !self.clients.contains_key(name) {
            self.connect(name, None);
        }
        let actor = self.clients.get_mut(name)?;
        if let Some(welcome) = actor.welcome.take() {
            return Some(welcome);
        }
        let peer = actor.peer;
        loop {
            match self.world().next_message(peer)? {
                Message::Text(text) => {
                    self.note_secret(name, &text);
                    return Some(text);
                }
                Message::Close(code, reason) => return Some(format!("close {code} {reason:?}")),
                Message::Binary(bytes) => return Some(HEXLOWER.encode(&bytes)),
                Message::Ping(_) | Message::Pong(_) => {}
            }
        }
    }

    fn note_secret(&mut self, name: &str, text: &str) {
        let told: Value = serde_json::from_str(text).unwrap_or_default();
        if let (Some(secret), Some(actor)) =
            (told["sessionSecret"].as_str(), self.clients.get_mut(name))
        {
            actor.secret = Some(secret.to_owned());
        }
    }

    /// What the clients have not read.
    fn left(&mut self) -> Vec<(String, String)> {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        let mut left = Vec::new();
        for name in names {
            while let Some(message) = self.next(&name) {
                left.push((name.clone(), message));
            }
        }
        left
    }

    /// Puts client ids and the secrets of sessions in.
    fn fill(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, actor) in &self.clients {
            if let Some(secret) = &actor.secret {
                text = text.replace(&format!("<secret:{name}>"), secret);
            }
        }
        let mut filled = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("<client:") {
            let (name, after) = after.split_once('>').expect("the end of a placeholder");
            self.peer(name);
            filled.push_str(before);
            filled.push_str(&self.clients[name].id);
            rest = after;
        }
        filled + rest
    }

    fn answer(&mut self, outcome: Outcome) {
        for event in self.world().events() {
            if let Event::Application { request, .. } = event {
                self.requests.push_back(request);
            }
        }
        let request = self.requests.pop_front().expect("an open request");
        self.world().command(Command::Reply { request, outcome });
    }

    fn ask(&mut self, request: &str) {
        let world = self.world();
        let peer = world.accept(&Upgrade::default());
        let request = format!("{request} HTTP/1.1\r\nHost: example.com\r\n\r\n");
        world.send_bytes(peer, request.as_bytes());
        self.response = world.client(peer).response.clone();
    }

    fn expect_response(&mut self, expected: &str) {
        let response = self.response.take().expect("a response");
        let (status, body) = expected.split_once(' ').unwrap_or((expected, ""));
        let (head, sent) = response.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(matches(body, sent.trim_end()), "{sent}");
    }
}

/// A binary frame as the notation shows it, in hexadecimal digits without spaces; `None` for anything else.
fn in_hex(text: &str) -> Option<String> {
    let pieces = text.strip_prefix("frame ")?.split(' ');
    let hex = pieces.map(|piece| match ClientId::parse(piece) {
        Some(client) => HEXLOWER.encode(&client.to_bytes()),
        None if piece == "<time>" => ANY_BYTE.repeat(8),
        None => piece.to_owned(),
    });
    Some(hex.collect())
}

fn is_frame(pattern: &str, hex: &str) -> bool {
    let digits = pattern.bytes().zip(hex.bytes());
    pattern.len() == hex.len() && digits.into_iter().all(|(p, h)| p == h || p == b'.')
}

/// In place of a byte that may be any.
const ANY_BYTE: &str = "..";

/// Whether text is as a pattern shows it: byte for byte but for the placeholders of numbers and strings.
fn matches(pattern: &str, text: &str) -> bool {
    let next = ["\"<number>\"", "\"<text>\""]
        .into_iter()
        .filter_map(|placeholder| Some((pattern.find(placeholder)?, placeholder)))
        .min();
    let Some((at, placeholder)) = next else {
        return pattern == text;
    };
    let (literal, rest) = pattern.split_at(at);
    let Some(text) = text.strip_prefix(literal) else {
        return false;
    };
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let right = match values.next() {
        Some(Ok(Value::Number(_))) => placeholder == "\"<number>\"",
        Some(Ok(Value::String(_))) => placeholder == "\"<text>\"",
        _ => false,
    };
    right && matches(&rest[placeholder.len()..], &text[values.byte_offset()..])
}

// ---- completeness

// covers A0-13
#[test]
fn every_message_type_has_an_example() {
    let examples = blocks("roomwire").concat();
    for (vocabulary, arrow) in [("ClientMessage", '>'), ("ServerMessage", '<')] {
        let kinds = variants(vocabulary);
        assert!(kinds.len() > 10, "{kinds:?}");
        let files = variants_of(
            FILES,
            if arrow == '>' {
                "FileRequest"
            } else {
                "FileNotice"
            },
        );
        let files = files.iter().map(|kind| match kind.as_str() {
            // Named for what has become of it.
            "aborted" => "file_abort".to_owned(),
            "failed" => "file_error".to_owned(),
            kind => format!("file_{kind}"),
        });
        assert!(files.len() > 5);
        let kinds = kinds
            .into_iter()
            .filter(|kind| kind != "application" && kind != "file");
        for kind in &kinds.chain(files).collect::<Vec<_>>() {
            let shown = format!(" {arrow} {{\"type\":\"{kind}\"");
            let found = examples.iter().any(|(_, line)| line.contains(&shown));
            assert!(found, "no example of {vocabulary} {kind}");
            assert!(is_reserved_type(kind), "{kind}");
            let is_named = names().contains(kind) || kind.starts_with("file_");
            assert!(is_named, "{kind} is not among the names");
        }
    }
}

// covers A0-14
#[test]
fn every_error_code_is_listed_and_has_an_example() {
    let listed: Vec<String> = table("## Errors")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let known = ErrorCode::ALL.map(|code| format!("`{code}`"));
    assert_eq!(listed, known);
    let examples = blocks("roomwire").concat();
    for code in ErrorCode::ALL {
        let shown = format!("\"code\":\"{code}\"");
        let found = examples.iter().any(|(_, line)| line.contains(&shown));
        assert!(found, "no example of {code}");
    }
}

// covers A1-04
#[test]
fn the_names_are_those_of_the_code() {
    let names = names();
    let code = TYPES.split_once("const CLIENT_TYPES").expect("the lists").1;
    let known: BTreeSet<String> = code
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert_eq!(names, known);
    for name in names.iter().map(String::as_str).chain(["file_anything"]) {
        assert!(is_reserved_type(name), "{name}");
    }
}

// covers A1-15
#[test]
fn the_defaults_are_those_of_the_code() {
    let mut known = BTreeMap::new();
    flatten(
        "",
        &plain(serde_json::to_value(Config::default())),
        &mut known,
    );
    known.remove("room");
    flatten(
        "room",
        &plain(serde_json::to_value(RoomRule::default())),
        &mut known,
    );
    flatten(
        "listener",
        &plain(serde_json::to_value(ListenerConfig::default())),
        &mut known,
    );
    let mut listed = BTreeMap::new();
    for row in table("## Settings and their defaults") {
        let [key, default, _] = &row[..] else {
            panic!("{row:?}");
        };
        let value = match default.trim_matches('`') {
            "none" => Value::Null,
            json => serde_json::from_str(json).expect("JSON"),
        };
        let twice = listed.insert(key.trim_matches('`').to_owned(), value);
        assert_eq!(twice, None, "{key}");
    }
    assert_eq!(listed, known);
}

#[test]
fn every_setting_and_every_link_in_the_text_leads_somewhere() {
    let keys: BTreeSet<String> = table("## Settings and their defaults")
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let sections: BTreeSet<&str> = keys
        .iter()
        .filter_map(|k| Some(k.split_once('.')?.0))
        .collect();
    let (text, _) = PROTOCOL.split_once("## Settings").expect("the table");
    for word in text.split('`').skip(1).step_by(2) {
        let is_key = word.split_once('.').is_some_and(|(section, key)| {
            sections.contains(section) && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        });
        assert!(!is_key || keys.contains(word), "no such setting: {word}");
    }
    let anchors = anchors();
    for link in PROTOCOL.split("](#").skip(1) {
        let (anchor, _) = link.split_once(')').expect("the end of a link");
        assert!(anchors.contains(anchor), "no such heading: {anchor}");
    }
}

// ---- reading the file

/// The fenced blocks of a kind, as numbered lines; indented lines are joined to those before.
fn blocks(kind: &str) -> Vec<Vec<(usize, String)>> {
    let mut blocks: Vec<Vec<(usize, String)>> = Vec::new();
    let mut open = None;
    for (number, line) in (1..).zip(PROTOCOL.lines()) {
        match (line.strip_prefix("```"), open) {
            (Some(info), None) => {
                open = Some(info == kind);
                if info == kind {
                    blocks.push(Vec::new());
                }
            }
            (Some(_), Some(_)) => open = None,
            (None, Some(true)) => {
                let block = blocks.last_mut().expect("an open block");
                match (line.strip_prefix("  "), block.last_mut()) {
                    (Some(more), Some((_, before))) => before.push_str(more.trim_start()),
                    _ => block.push((number, line.to_owned())),
                }
            }
            _ => {}
        }
    }
    assert!(!blocks.is_empty(), "no example of {kind}");
    blocks
}

/// The rows of the table under a heading, without its own two head lines.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = PROTOCOL
        .split_once(&format!("\n{heading}\n"))
        .expect(heading);
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells = row.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

/// The names of message types that the file reserves.
fn names() -> BTreeSet<String> {
    let (_, section) = PROTOCOL
        .split_once("\n## Names of message types\n")
        .expect("the section");
    let list = section.lines().find(|line| line.starts_with('`'));
    let list = list.expect("the list");
    list.split(' ')
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

/// The anchors of the headings, as a renderer makes them.
fn anchors() -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in PROTOCOL.lines().filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let slug = kept.collect::<String>().replace(' ', "-");
        let again = (1..).map(|n| format!("{slug}-{n}"));
        let mut choices = std::iter::once(slug.clone()).chain(again);
        let free = choices.find(|slug| !anchors.contains(slug));
        anchors.extend(free);
    }
    anchors
}

/// The message types of one of the code's two vocabularies: its variants in snake case.
fn variants(vocabulary: &str) -> BTreeSet<String> {
    variants_of(MESSAGES, vocabulary)
}

fn variants_of(code: &str, vocabulary: &str) -> BTreeSet<String> {
    let opening = format!("pub enum {vocabulary}<'a> {{\n");
    let (_, body) = code.split_once(&opening).expect("the vocabulary");
    let (body, _) = body.split_once("\n}").expect("its end");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let variants = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    variants.map(snake_case).collect()
}

fn snake_case(line: &str) -> String {
    let name = line.chars().take_while(char::is_ascii_alphanumeric);
    let mut snake = String::new();
    for c in name {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

fn plain(value: serde_json::Result<Value>) -> Value {
    value.expect("plain data")
}

fn flatten(prefix: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    let Value::Object(fields) = value else {
        into.insert(prefix.to_owned(), value.clone());
        return;
    };
    for (name, value) in fields {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        flatten(&key, value, into);
    }
}
