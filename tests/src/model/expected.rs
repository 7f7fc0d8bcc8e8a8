//! What a client must be sent, and whether it was.
//!
//! Clients are numbers here: their ids are only known once the server has given them out. In a text a client
//! stands as one placeholder, and is compared with its id when the text has arrived.

use std::rc::Rc;

use serde_json::Value;

use super::operation::ROOMS;

/// What is ordered in itself: messages and replies to one client alone, broadcasts, each room.
pub(super) type Stream = usize;
/// Replies and messages for one client alone.
pub(super) const DIRECT: Stream = 0;
/// Broadcasts.
pub(super) const LOBBY: Stream = 1;
/// The first room; the others follow.
pub(super) const FIRST_ROOM: Stream = 2;
/// How many there are.
pub(super) const STREAMS: usize = FIRST_ROOM + ROOMS.len();

/// One message to one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub stream: Stream,
    pub what: What,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Text(Rc<str>),
    Welcome {
        client: usize,
    },
    Error {
        id: Option<Rc<str>>,
        code: &'static str,
        retry_ms: Option<u64>,
    },
    Joined {
        id: Option<Rc<str>>,
        room: usize,
        members: Vec<usize>,
        listed: usize,
        client: usize,
    },
    Members {
        id: Option<Rc<str>>,
        room: usize,
        members: Vec<(usize, String)>,
        after: Option<usize>,
        limit: usize,
        metadata: bool,
    },
    Closing {
        code: u16,
        after_ms: Option<u64>,
    },
    /// The close frame.
    Close(u16),
}

/// The placeholder of a client.
pub(super) fn client(number: usize) -> String {
    let number = u32::try_from(number).expect("few clients");
    let number = char::from_u32(FIRST_CLIENT + number).expect("few clients");
    [MARK, number].iter().collect()
}

const MARK: char = '\u{1}';
const FIRST_CLIENT: u32 = 0x4E00;

/// The ids of clients, as far as the server has told.
#[derive(Debug, Default)]
pub struct Ids {
    by_number: Vec<Option<String>>,
}

impl Ids {
    pub fn set(&mut self, number: usize, id: &str) {
        if self.by_number.len() <= number {
            self.by_number.resize(number + 1, None);
        }
        self.by_number[number] = Some(id.to_owned());
    }

    pub fn get(&self, number: usize) -> Option<&str> {
        self.by_number.get(number)?.as_deref()
    }

    fn known(&self, number: usize) -> Result<&str, String> {
        self.get(number)
            .ok_or_else(|| format!("client {number} was never told of"))
    }

    /// Which client has an id.
    pub fn number(&self, id: &str) -> Option<usize> {
        self.by_number
            .iter()
            .position(|known| known.as_deref() == Some(id))
    }
}

impl What {
    /// Whether `text` says this.
    pub fn matches(&self, text: &str, ids: &Ids) -> Result<(), String> {
        match self {
            Self::Text(template) => matches_template(template, text, ids),
            Self::Welcome { client } => {
                let start = format!(
                    "{{\"type\":\"welcome\",\"clientId\":\"{}\",",
                    ids.known(*client)?
                );
                check(text.starts_with(&start), || format!("no welcome: {text}"))
            }
            Self::Error { id, code, retry_ms } => {
                matches_error(text, id.as_deref(), code, *retry_ms)
            }
            Self::Joined {
                id,
                room,
                members,
                listed,
                client,
            } => {
                let value = parse(text)?;
                let head = reply("joined_room", id.as_deref(), *room);
                check(text.starts_with(&head), || format!("not {head}: {text}"))?;
                let mut told = told_members(&value, ids)?;
                check(value["total"] == members.len(), || {
                    format!("not {} members: {text}", members.len())
                })?;
                check(told.contains(client), || {
                    format!("without the caller: {text}")
                })?;
                check(told.len() == members.len().min(*listed), || {
                    format!("listed wrongly: {text}")
                })?;
                told.sort_unstable();
                told.dedup();
                check(told.len() == members.len().min(*listed), || {
                    format!("listed twice: {text}")
                })?;
                check(told.iter().all(|m| members.contains(m)), || {
                    format!("not a member: {text}")
                })
            }
            Self::Members { .. } => self.matches_members(text, ids),
            Self::Closing { code, after_ms } => {
                let value = parse(text)?;
                check(value["type"] == "closing" && value["code"] == *code, || {
                    format!("not closing with {code}: {text}")
                })?;
                check(value["reconnectAfterMs"].as_u64() == *after_ms, || {
                    format!("not {after_ms:?}: {text}")
                })
            }
            Self::Close(_) => Err(format!("text instead of a close frame: {text}")),
        }
    }

    fn matches_members(&self, text: &str, ids: &Ids) -> Result<(), String> {
        let Self::Members {
            id,
            room,
            members,
            after,
            limit,
            metadata,
        } = self
        else {
            return Err("not members".to_owned());
        };
        let mut page: Vec<(&str, &str)> = Vec::new();
        for (member, metadata) in members {
            page.push((ids.known(*member)?, metadata));
        }
        page.sort_unstable();
        if let Some(after) = after {
            let after = ids.known(*after)?;
            page.retain(|&(id, _)| id > after);
        }
        let more = page.len() > *limit;
        page.truncate(*limit);
        let listed: Vec<String> = page.iter().map(|(id, _)| format!("\"{id}\"")).collect();
        let mut wanted = reply("members", id.as_deref(), *room);
        wanted += &format!(
            ",\"members\":[{}],\"total\":{},\"more\":{more}",
            listed.join(","),
            members.len()
        );
        if *metadata {
            let each: Vec<String> = page
                .iter()
                .map(|(id, json)| format!("\"{id}\":{json}"))
                .collect();
            wanted += &format!(",\"metadata\":{{{}}}", each.join(","));
        }
        wanted.push('}');
        check(text == wanted, || format!("{text} is not {wanted}"))
    }
}

fn reply(kind: &str, id: Option<&str>, room: usize) -> String {
    let id = id.map_or_else(String::new, |id| format!(",\"id\":{id}"));
    format!("{{\"type\":\"{kind}\"{id},\"room\":{}", room_json(room))
}

fn matches_error(
    text: &str,
    id: Option<&str>,
    code: &str,
    retry_ms: Option<u64>,
) -> Result<(), String> {
    let id = id.map_or_else(String::new, |id| format!(",\"id\":{id}"));
    let head = format!("{{\"type\":\"error\"{id},\"code\":\"{code}\",\"message\":\"");
    let tail = retry_ms.map_or_else(
        || "\"}".to_owned(),
        |ms| format!("\",\"retryAfterMs\":{ms}}}"),
    );
    let retry = text.contains("\"retryAfterMs\":") == retry_ms.is_some();
    check(
        text.starts_with(&head) && text.ends_with(&tail) && retry,
        || format!("{text} is not {head}…{tail}"),
    )
}

fn matches_template(template: &str, text: &str, ids: &Ids) -> Result<(), String> {
    let mut rest = text;
    let mut parts = template.split(MARK);
    let mut next = parts.next().unwrap_or_default();
    loop {
        rest = rest
            .strip_prefix(next)
            .ok_or_else(|| format!("{text} is not {template:?}"))?;
        let Some(part) = parts.next() else {
            return check(rest.is_empty(), || {
                format!("{text} is longer than {template:?}")
            });
        };
        let mut chars = part.chars();
        let number = chars.next().ok_or("a mark without a client")? as u32 - FIRST_CLIENT;
        let id = ids.known(number as usize)?;
        rest = rest
            .strip_prefix(id)
            .ok_or_else(|| format!("{text} is not about client {number}"))?;
        next = chars.as_str();
    }
}

/// The clients in the `members` of a reply.
pub(super) fn told_members(value: &Value, ids: &Ids) -> Result<Vec<usize>, String> {
    let members = value["members"].as_array().ok_or("no members")?;
    let number = |id: &Value| id.as_str().and_then(|id| ids.number(id));
    let numbers: Option<Vec<usize>> = members.iter().map(number).collect();
    numbers.ok_or_else(|| format!("unknown members: {value}"))
}

/// Which stream a message belongs to, by what it says.
pub(super) fn stream_of(text: &str) -> Stream {
    let kind = kind_of(text);
    match kind {
        // Bare data and published messages of the embedding program say where they were sent.
        None | Some("news") => tagged_stream(text),
        Some("broadcast") => LOBBY,
        Some(
            "room_message"
            | "member_joined"
            | "member_left"
            | "member_updated"
            | "members_changed"
            | "user_typing"
            | "user_stopped_typing",
        ) => room_of(text).map_or(DIRECT, |room| FIRST_ROOM + room),
        Some(_) => DIRECT,
    }
}

/// The `type` that a message begins with.
pub(super) fn kind_of(text: &str) -> Option<&str> {
    let (kind, _) = text.strip_prefix("{\"type\":\"")?.split_once('"')?;
    Some(kind)
}

/// The number of the room that a message names.
pub(super) fn room_of(text: &str) -> Option<usize> {
    let (_, after) = text.split_once("\"room\":")?;
    (0..ROOMS.len()).find(|&room| after.starts_with(room_json(room)))
}

fn tagged_stream(text: &str) -> Stream {
    let digit = text
        .split_once("\"s\":")
        .and_then(|(_, after)| after.bytes().next());
    digit.map_or(DIRECT, |digit| usize::from(digit.wrapping_sub(b'0')))
}

/// A room's name as JSON.
pub(super) fn room_json(room: usize) -> &'static str {
    [
        "\"tea\"",
        "\"quo\\\"te\"",
        "\"linger\"",
        "\"sum\"",
        "\"quiet\"",
    ][room]
}

pub(super) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

pub(super) fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
