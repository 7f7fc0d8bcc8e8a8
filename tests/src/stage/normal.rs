//! What is heard, in a form in which two servers can be compared: names for ids, tokens for what the clock decides.
//!
//! What is replaced is looked at first: a time that is not now is no token, but stays what it is.

use roomwire_core::server::Event;
use roomwire_core::{Epoch, PeerAddr};

use super::ear::header;

/// How to put something into that form.
pub(super) struct Normal<'a> {
    /// Ids of clients, and their names.
    pub(super) ids: &'a [(String, String)],
    /// What time it is.
    pub(super) unix_ms: u64,
}

/// So far from now a timestamp may be.
const NEAR_MS: u64 = 60_000;

/// The longest wait that a scenario's settings lead to.
const LONGEST_WAIT_MS: u64 = 60_000;

impl Normal<'_> {
    /// A message of the server's.
    pub(super) fn text(&self, text: &str) -> String {
        let text = self.name(text);
        let text = number(&text, "\"timestamp\":", "<now>", |ms| {
            ms.abs_diff(self.unix_ms) <= NEAR_MS
        });
        let text = number(&text, "\"retryAfterMs\":", "<wait>", |ms| {
            (1..=LONGEST_WAIT_MS).contains(&ms)
        });
        // Which shard has made it is left to chance.
        let text = number(&text, "\"transfer\":", "<file>", |transfer| transfer > 0);
        let text = secret(&text, "\"transferSecret\":\"");
        let text = epoch(&secret(&text, "\"sessionSecret\":\""));
        if text.starts_with(r#"{"type":"joined_room""#) {
            return sort_members(&text);
        }
        text
    }

    /// An answer to a request. How long the server has been there also decides how long the answer is.
    pub(super) fn answer(&self, answer: &str) -> String {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
        if let Some(date) = header(head, "date") {
            let is_date = date.len() == "Sun, 06 Nov 1994 08:49:37 GMT".len();
            let token = if is_date { "<date>" } else { date };
            replace_line(&mut lines, "Date: ", token);
        }
        let (before, uptime) = body.split_once("\"uptime\":").unwrap_or((body, ""));
        let seconds = uptime.trim_end_matches('}').parse::<f64>();
        let young = seconds.is_ok_and(|seconds| (0.0..600.0).contains(&seconds));
        let mut body = body.to_owned();
        // Without a body, only the length tells.
        let of_health = young || (body.is_empty() && head.contains("application/json"));
        if young {
            body = format!("{before}\"uptime\":<seconds>}}");
        }
        if of_health {
            replace_line(&mut lines, "Content-Length: ", "<length>");
        }
        format!("{} | {body}", lines.join(" | "))
    }

    /// What the program is told. A peer's port is left to chance.
    pub(super) fn event(&self, event: &Event) -> String {
        let shown = match event {
            Event::Opened {
                client,
                peer,
                listener,
                ..
            } => {
                let peer = match peer {
                    PeerAddr::Inet(address) => address.ip().to_string(),
                    other => format!("{other:?}"),
                };
                format!("{client} opened from {peer} at {listener:?}")
            }
            Event::Closed {
                client,
                cause,
                code,
                received,
                ..
            } => format!("{client} closed: {cause:?}, {code}, after {received} messages"),
            Event::Application {
                client,
                kind,
                message,
                ..
            } => format!("{client} asks for {kind}: {message}"),
            Event::Resumed { client, .. } => format!("{client} resumed"),
            Event::Refused { kind, .. } => format!("refused {kind}"),
            other => format!("{other:?}"),
        };
        self.name(&shown)
    }

    fn name(&self, text: &str) -> String {
        let known = self.ids.iter().filter(|(id, _)| !id.is_empty());
        let there = known.filter(|(id, _)| text.contains(id));
        there.fold(text.to_owned(), |text, (id, name)| {
            text.replace(id, &format!("<{name}>"))
        })
    }
}

fn replace_line(lines: &mut [String], field: &str, value: &str) {
    let line = lines.iter_mut().find(|line| line.starts_with(field));
    *line.expect("the field") = format!("{field}{value}");
}

/// Puts a token in the place of each number after a key, if it is a right one.
fn number(text: &str, key: &str, token: &str, is_right: impl Fn(u64) -> bool) -> String {
    let mut parts = text.split(key);
    let mut normal = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &part[..part.len() - rest.len()];
        normal += key;
        match digits.parse() {
            Ok(number) if is_right(number) => normal.extend([token, rest]),
            _ => normal += part,
        }
    }
    normal
}

/// Puts a token in the place of the name of a log.
fn epoch(text: &str) -> String {
    let key = "\"epoch\":\"";
    let parts = text.split_once(key);
    let parts = parts.and_then(|(before, after)| Some((before, after.split_once('"')?)));
    match parts {
        Some((before, (epoch, rest))) if Epoch::parse(epoch).is_some() => {
            format!("{before}{key}<epoch>\"{rest}")
        }
        _ => text.to_owned(),
    }
}

/// Puts a token in the place of what nobody is to guess.
fn secret(text: &str, key: &str) -> String {
    let parts = text.split_once(key);
    let parts = parts.and_then(|(before, after)| Some((before, after.split_once('"')?)));
    match parts {
        Some((before, (secret, rest))) if secret.len() >= 20 => {
            format!("{before}{key}<secret>\"{rest}")
        }
        _ => text.to_owned(),
    }
}

/// The members that a reply to `join` lists are in no particular order.
fn sort_members(text: &str) -> String {
    let (before, list) = text.split_once("\"members\":[").expect("a list");
    let (list, after) = list.split_once(']').expect("its end");
    let mut members: Vec<&str> = list.split(',').collect();
    members.sort_unstable();
    format!("{before}\"members\":[{}]{after}", members.join(","))
}

/// How two lists of what somebody heard differ, for people; empty if they do not.
pub(super) fn shown(name: &str, heard: &[String], due: &[String]) -> String {
    if heard == due {
        return String::new();
    }
    let mut lines = format!("  {name}:\n");
    for index in 0..heard.len().max(due.len()) {
        match (heard.get(index), due.get(index)) {
            (Some(heard), Some(due)) if heard == due => {
                lines += &format!("      {}\n", short(heard));
            }
            (heard, due) => {
                for (sign, item) in [("-", due), ("+", heard)] {
                    if let Some(item) = item {
                        lines += &format!("    {sign} {}\n", short(item));
                    }
                }
                if let (Some(heard), Some(due)) = (heard, due) {
                    let same = heard.bytes().zip(due.bytes()).take_while(|(h, d)| h == d);
                    lines += &format!("      they differ from byte {}\n", same.count());
                }
            }
        }
    }
    lines
}

fn short(item: &str) -> String {
    let begin: String = item.chars().take(400).collect();
    if begin.len() == item.len() {
        return begin;
    }
    format!("{begin}… ({} bytes)", item.len())
}
