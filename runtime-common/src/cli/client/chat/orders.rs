//! What somebody types: orders begin with `/`, all else is said.

#[cfg(test)]
mod tests;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order<'a> {
    /// Nothing was typed.
    Nothing,
    Help,
    /// Room, and how many messages.
    History(Option<&'a str>, u32),
    Join(&'a str),
    Leave(Option<&'a str>),
    Members(Option<&'a str>),
    Ping,
    Quit,
    /// An object, as it stands.
    Raw(&'a str),
    /// From now on this room is spoken to.
    Room(&'a str),
    Say(&'a str),
    /// To whom: an id, or what it begins with.
    Tell(&'a str, &'a str),
    Wake,
    Who,
    /// It is none: what is expected.
    Wrong(&'static str),
}

pub(super) const HELP: &str = "\
/join ROOM         join a room, and speak to it from now on
/room ROOM         speak to another room that was joined
/leave [ROOM]      leave a room
/members [ROOM]    who is there
/history [ROOM] [N]  what was said last, in a room that keeps its messages
/to CLIENT TEXT    say something to one client: its id, or the beginning of it
/ping              how long an answer takes
/me                who this is, where it is and how the connection is
/wake              try to connect now
/quit              leave, as the end of the input does
//TEXT             say something that begins with /
{...}              send a request as it is";

impl<'a> Order<'a> {
    pub(super) fn read(line: &'a str) -> Self {
        let line = line.trim();
        let Some(order) = line.strip_prefix('/') else {
            return match line {
                "" => Self::Nothing,
                line if line.starts_with('{') => Self::Raw(line),
                line => Self::Say(line),
            };
        };
        if order.starts_with('/') {
            return Self::Say(order);
        }
        let (name, rest) = order.split_once(' ').unwrap_or((order, ""));
        let rest = rest.trim();
        let room = (!rest.is_empty()).then_some(rest);
        match (name, room) {
            ("help" | "?", _) => Self::Help,
            ("history", _) => Self::history(rest),
            ("join", Some(room)) => Self::Join(room),
            ("join", None) => Self::Wrong("/join ROOM"),
            ("leave", room) => Self::Leave(room),
            ("me", None) => Self::Who,
            ("members", room) => Self::Members(room),
            ("ping", None) => Self::Ping,
            ("quit" | "exit", None) => Self::Quit,
            ("room", Some(room)) => Self::Room(room),
            ("room", None) => Self::Wrong("/room ROOM"),
            ("to", Some(rest)) => match rest.split_once(' ') {
                Some((to, text)) => Self::Tell(to, text.trim()),
                None => Self::Wrong("/to CLIENT TEXT"),
            },
            ("to", None) => Self::Wrong("/to CLIENT TEXT"),
            ("wake", None) => Self::Wake,
            _ => Self::Wrong("one of the orders that /help shows"),
        }
    }

    /// `[ROOM] [N]`: a number alone is how many.
    fn history(rest: &'a str) -> Self {
        if let Ok(count) = rest.parse() {
            return Self::History(None, count);
        }
        match rest
            .rsplit_once(' ')
            .map(|(room, count)| (room, count.parse()))
        {
            Some((room, Ok(count))) => Self::History(Some(room.trim()), count),
            _ => Self::History((!rest.is_empty()).then_some(rest), SOME),
        }
    }
}

/// How many messages of a log, unless asked for more or less.
const SOME: u32 = 20;
