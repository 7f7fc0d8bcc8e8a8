//! Who the client is, on one connection and the next.

use super::*;
use crate::error::ErrorCode;
use crate::message::{Former, Gap, SessionSecret};

pub(super) const SECRET: &str = "AQEBAQEBAQEBAQEBAQEBAQ";
const OTHER_SECRET: &str = "AgICAgICAgICAgICAgICAg";

/// That asks for a session, and sends no pings.
fn resuming() -> SessionConfig {
    SessionConfig {
        resume: true,
        max_reconnect_attempts: None,
        ..quiet()
    }
}

pub(super) fn session(
    id: &str,
    (client, secret): (&str, &str),
    resumed: bool,
    last: u64,
) -> String {
    format!(
        r#"{{"type":"session","id":{id},"clientId":"{client}","sessionSecret":"{secret}","resumed":{resumed},"windowMs":60000,"awayMs":10000,"last":{last}}}"#
    )
}

fn mail(offset: u64) -> String {
    format!(
        r#"{{"type":"private_message","from":"{BOB}","data":{offset},"timestamp":1,"offset":{offset}}}"#
    )
}

fn refusal(id: &str, code: &str) -> String {
    format!(r#"{{"type":"error","id":{id},"code":"{code}","message":""}}"#)
}

fn resume_after(after: u64) -> String {
    format!(r#"{{"type":"resume","clientId":"{ME}","sessionSecret":"{SECRET}","after":{after}}}"#)
}

const BARE: &str = r#"{"type":"resume"}"#;

fn client(text: &str) -> ClientId {
    ClientId::parse(text).expect("an id")
}

/// One with a session, in no room.
fn with_session() -> World {
    let mut world = World::new(resuming());
    world.welcome(ME);
    let sent = world.sent();
    assert_eq!(without_id(&sent[0]), BARE);
    world.say(&session(&id_of(&sent[0]), (ME, SECRET), false, 0));
    world
}

/// The next connection has its welcome, by which it is somebody else.
fn again(world: &mut World) {
    world.cut();
    world.pass(world.wait_ms());
    world.welcome(ME_AGAIN);
}

fn joined(room: &str, id: &str) -> String {
    format!(r#"{{"type":"joined_room","id":{id},"room":"{room}","members":[],"total":1}}"#)
}

/// What was told of who it is, and of its mail.
fn short(world: &mut World) -> Vec<String> {
    let word = |event| match event {
        Event::Session(told) => Some(format!("session {} {}", told.client, told.resumed)),
        Event::NewIdentity { former, refused } => Some(format!("not {former}: {refused:?}")),
        Event::MailGap(gap) => Some(format!("gap {}-{}", gap.from, gap.to)),
        Event::Message(Message {
            told: Told::PrivateMessage { offset, .. },
            ..
        }) => Some(offset.unwrap_or_default().to_string()),
        Event::Message(Message {
            told: Told::Error { .. } | Told::Session(_),
            ..
        }) => panic!("{event:?}"),
        _ => None,
    };
    world.told().into_iter().filter_map(word).collect()
}

/// covers A4-15: a session is asked for first of all, and nothing waits for it that need not.
#[test]
fn a_session_is_asked_for_first() {
    let mut world = World::new(resuming());
    world.join(1, "tea");
    world.json(2, "{}");
    world.open();
    let sent = world.sent();
    assert_eq!(without_id(&sent[0]), BARE);
    assert_eq!(without_id(&sent[1]), r#"{"type":"join","room":"tea"}"#);
    world.say(&format!(r#"{{"type":"welcome","clientId":"{ME}"}}"#));
    world.say(&joined("tea", &id_of(&sent[1])));
    assert_eq!(world.session.state(), State::Open);
    assert_eq!(world.sent(), ["{}"]);
    world.told();
    world.say(&session(&id_of(&sent[0]), (ME, SECRET), false, 0));
    let told = world.told();
    let [Event::Session(session)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((session.client, session.resumed), (client(ME), false));
    assert_eq!(session.secret, SessionSecret([1; 16]));
    assert!(!format!("{told:?}").contains(SECRET), "{told:?}");
    world.pass(5_000);
    assert_eq!(world.deadline, None);
}

/// covers A4-15, A4-06: it is who it was before it says anything else; then its rooms, and then what waited.
#[test]
fn it_comes_back_as_who_it_was() {
    let mut world = with_session();
    world.join(1, "tea");
    let id = world.only_id();
    world.say(&joined("tea", &id));
    again(&mut world);
    world.json(2, "{}");
    world.join(3, "milk");
    assert_eq!(world.session.state(), State::Resuming);
    assert_eq!(world.session.client_id(), Some(client(ME)), "and no other");
    let sent = world.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(without_id(&sent[0]), resume_after(0));
    world.told();
    world.say(&session(&id_of(&sent[0]), (ME, SECRET), true, 0));
    assert_eq!(short(&mut world), [format!("session {ME} true")]);
    assert_eq!(world.session.client_id(), Some(client(ME)));
    let sent = world.sent();
    let plain: Vec<String> = sent.iter().map(|text| without_id(text)).collect();
    let joins = [
        r#"{"type":"join","room":"tea","after":0}"#,
        r#"{"type":"join","room":"milk"}"#,
    ];
    assert_eq!(plain, joins);
    world.say(&joined("milk", &id_of(&sent[1])));
    assert_eq!(world.session.state(), State::Resuming);
    world.say(&joined("tea", &id_of(&sent[0])));
    assert_eq!(world.session.state(), State::Open);
    assert_eq!(world.sent(), ["{}"]);
    // Its id is not used up by coming back.
    for _ in 0..150 {
        again(&mut world);
        let id = id_of(&world.sent()[0]);
        world.say(&session(&id, (ME, SECRET), true, 0));
        assert!(world.session.identity.is_own(&client(ME)));
        assert!(!world.session.identity.is_own(&client(ME_AGAIN)));
        for id in world.sent() {
            let room = if id.contains("milk") { "milk" } else { "tea" };
            world.say(&joined(room, &id_of(&id)));
        }
    }
    assert_eq!(world.session.state(), State::Open);
}

/// covers A4-15: what was sent to it alone comes once and in order, or is named.
#[test]
fn mail_comes_once_and_in_order() {
    let mut world = with_session();
    world.told();
    for offset in [1, 2, 2, 1] {
        world.say(&mail(offset));
    }
    assert_eq!(short(&mut world), ["1", "2"]);
    again(&mut world);
    let id = world.only_id();
    let told = session(&id, (ME, SECRET), true, 9);
    world.say(&told.replace(r#""last":9"#, r#""last":9,"gap":{"from":3,"to":6}"#));
    for offset in [6, 7, 9] {
        world.say(&mail(offset));
    }
    let resumed = format!("session {ME} true");
    assert_eq!(
        short(&mut world),
        [&*resumed, "gap 3-6", "7", "gap 8-8", "9"]
    );
    world.say(&mail(7).replace(r#","offset":7"#, ""));
    assert_eq!(short(&mut world), ["0"], "what has no offset is always new");
    again(&mut world);
    assert_eq!(world.sent_plain(), [resume_after(9)]);
}

/// What is left out on purpose is none of what is missing.
#[test]
fn mail_that_its_senders_did_not_want_told_is_not_missing() {
    let mut world = with_session();
    world.say(&mail(1));
    again(&mut world);
    let id = world.only_id();
    let left_out =
        r#""leftOut":[{"from":1,"to":2},{"from":4,"to":5},{"from":9,"to":8},{"from":12,"to":13}]"#;
    let told = session(&id, (ME, SECRET), true, 13);
    world.say(&told.replace(r#""last":13"#, &format!(r#""last":13,{left_out}"#)));
    world.told();
    for offset in [7, 8, 10, 14, 16] {
        world.say(&mail(offset));
    }
    let expected = [
        "gap 3-3",
        "gap 6-6",
        "7",
        "8",
        "gap 9-9",
        "10",
        "gap 11-11",
        "14",
        "gap 15-15",
        "16",
    ];
    assert_eq!(short(&mut world), expected);
}

/// A gap at the end of all that there is is not asked for again.
#[test]
fn missing_mail_is_told_once() {
    let mut world = with_session();
    again(&mut world);
    let id = world.only_id();
    let told = session(&id, (ME, SECRET), true, 4);
    world.say(&told.replace(r#""last":4"#, r#""last":4,"gap":{"from":1,"to":4}"#));
    again(&mut world);
    let sent = world.sent();
    assert_eq!(without_id(&sent[0]), resume_after(4));
    // A gap of what was heard changes nothing.
    let told = session(&id_of(&sent[0]), (ME, SECRET), true, 4);
    world.say(&told.replace(r#""last":4"#, r#""last":4,"gap":{"from":1,"to":2}"#));
    again(&mut world);
    assert_eq!(world.sent_plain(), [resume_after(4)]);
}

/// covers A4-15: or it says that it cannot.
#[test]
fn a_session_that_is_over_is_told_and_begun_anew() {
    let mut world = with_session();
    world.join(1, "tea");
    let id = world.only_id();
    world.say(&joined("tea", &id));
    world.say(&mail(1));
    again(&mut world);
    let id = world.only_id();
    world.told();
    world.say(&refusal(&id, "stale_session"));
    assert_eq!(world.session.client_id(), Some(client(ME_AGAIN)));
    let stale = format!("not {ME}: {:?}", Some(ErrorCode::StaleSession));
    assert_eq!(short(&mut world), [stale]);
    let sent = world.sent();
    let plain: Vec<String> = sent.iter().map(|text| without_id(text)).collect();
    let join = r#"{"type":"join","room":"tea","after":0}"#;
    assert_eq!(plain, [BARE, join], "and the rooms do not wait any longer");
    world.say(&session(
        &id_of(&sent[0]),
        (ME_AGAIN, OTHER_SECRET),
        false,
        0,
    ));
    world.say(&joined("tea", &id_of(&sent[1])));
    world.say(&mail(1));
    let new = format!("session {ME_AGAIN} false");
    assert_eq!(short(&mut world), [&*new, "1"], "it counts anew");
    assert!(
        world.session.identity.is_own(&client(ME)),
        "and knows itself"
    );
    again(&mut world);
    let expected = resume_after(1)
        .replace(ME, ME_AGAIN)
        .replace(SECRET, OTHER_SECRET);
    assert_eq!(world.sent_plain(), [expected]);
}

/// What a server answers that has never heard of sessions, or will not hear of them.
#[test]
fn a_server_without_sessions_is_gone_on_with() {
    for code in ["unknown_type", "forbidden"] {
        let mut world = World::new(resuming());
        world.welcome(ME);
        let id = world.only_id();
        world.told();
        world.say(&refusal(&id, code));
        assert_eq!(world.told(), [], "it is as it always was");
        world.say(&refusal(&id, code));
        assert_eq!(world.told().len(), 1, "what answers nothing is told");
        assert_eq!(world.session.state(), State::Open);
        again(&mut world);
        assert_eq!(world.session.client_id(), Some(client(ME_AGAIN)));
        assert_eq!(world.sent_plain(), [BARE], "it may be another server");
    }
}

/// A server that has forgotten how to is not asked for more.
#[test]
fn a_server_that_lost_its_sessions_altogether_is_gone_on_with() {
    for (code, refused) in [
        ("unknown_type", Some(ErrorCode::UnknownType)),
        ("never_heard_of", None),
    ] {
        let mut world = with_session();
        again(&mut world);
        let id = world.only_id();
        world.told();
        world.say(&refusal(&id, code));
        assert_eq!(short(&mut world), [format!("not {ME}: {refused:?}")]);
        assert_eq!(world.session.state(), State::Open);
        assert_eq!(world.sent(), [""; 0]);
    }
}

/// What should be an answer and is none leaves nothing open.
#[test]
fn any_other_answer_is_none() {
    let mut world = with_session();
    again(&mut world);
    let id = world.only_id();
    world.told();
    world.say(&format!(r#"{{"type":"ack","id":{id}}}"#));
    assert_eq!(short(&mut world), [format!("not {ME}: None")]);
    assert_eq!(world.session.state(), State::Open);
    // A session, but not that which was asked for.
    let mut world = with_session();
    again(&mut world);
    let id = world.only_id();
    world.told();
    world.say(&session(&id, (ME_AGAIN, OTHER_SECRET), false, 7));
    let told = [
        format!("not {ME}: None"),
        format!("session {ME_AGAIN} false"),
    ];
    assert_eq!(short(&mut world), told);
    world.say(&mail(7));
    world.say(&mail(8));
    assert_eq!(short(&mut world), ["8"]);
}

#[test]
fn who_is_asked_for_patience_asks_again_and_says_nothing_meanwhile() {
    let mut world = with_session();
    world.join(1, "tea");
    let id = world.only_id();
    world.say(&joined("tea", &id));
    again(&mut world);
    for _ in 0..3 {
        let id = world.only_id();
        world.say(&format!(
            r#"{{"type":"error","id":{id},"code":"rate_limited","message":"","retryAfterMs":20000}}"#
        ));
        world.pass(19_999);
        assert_eq!(
            (world.sent().len(), world.session.state()),
            (0, State::Resuming)
        );
        world.pass(1);
        assert_eq!(without_id(&world.sent[0]), resume_after(0));
    }
    let id = world.only_id();
    world.say(&session(&id, (ME, SECRET), true, 0));
    let join = r#"{"type":"join","room":"tea","after":0}"#;
    assert_eq!(world.sent_plain(), [join]);
}

/// A new session is asked for again, too, but nothing waits for it.
#[test]
fn nor_does_a_new_session_have_to_come_at_once() {
    let mut world = World::new(resuming());
    world.welcome(ME);
    let id = world.only_id();
    world.say(&format!(
        r#"{{"type":"error","id":{id},"code":"rate_limited","message":"","retryAfterMs":600}}"#
    ));
    world.text(1, "meanwhile");
    assert_eq!(world.sent(), ["meanwhile"]);
    world.pass(600);
    assert_eq!(world.sent_plain(), [BARE]);
    // The time until then goes with the connection.
    let mut world = World::new(resuming());
    world.welcome(ME);
    let id = world.only_id();
    world.say(&format!(
        r#"{{"type":"error","id":{id},"code":"rate_limited","message":"","retryAfterMs":600}}"#
    ));
    world.cut();
    assert_eq!(world.wait_ms(), 1_000);
}

/// The session may be there all the same when a part of the server is not.
#[test]
fn trouble_of_the_server_is_waited_for_but_not_for_ever() {
    let mut world = with_session();
    again(&mut world);
    world.told();
    for _ in 0..3 {
        let id = world.only_id();
        world.say(&refusal(&id, "internal"));
        assert_eq!(world.sent(), [""; 0]);
        world.pass(1_000);
        assert_eq!(without_id(&world.sent[0]), resume_after(0));
    }
    let id = world.only_id();
    world.say(&refusal(&id, "internal"));
    let lost = format!("not {ME}: {:?}", Some(ErrorCode::Internal));
    assert_eq!(short(&mut world), [lost]);
    assert_eq!(world.sent_plain(), [BARE]);
    assert_eq!(world.session.state(), State::Open);
}

/// Whether it is who it was must not stay open for ever; and a connection on which it does has not got anywhere.
#[test]
fn without_an_answer_there_is_another_connection() {
    let mut world = with_session();
    world.pass(5_000);
    for wait in [1_000, 2_000] {
        world.cut();
        assert_eq!(world.wait_ms(), wait);
        world.pass(wait);
        world.welcome(ME_AGAIN);
        world.told();
        world.pass(14_999);
        assert_eq!(world.session.state(), State::Resuming);
        world.connection = world.session.link.as_ref().map(|link| link.id);
    }
    world.pass(1);
    let told = world.told();
    assert_eq!(closed(&told)[0].cause, CloseCause::NoAnswer);
    assert_eq!((world.connection, &*world.closes), (None, &[true][..]));
    assert_eq!(world.wait_ms(), 4_000);
    world.pass(4_000);
    world.welcome(ME_AGAIN);
    let sent = world.sent();
    let id = id_of(sent.last().expect("a request"));
    world.say(&session(&id, (ME, SECRET), true, 0));
    assert_eq!(world.wait_ms(), 5_000, "until it is stable, and no longer");
    // The time for the answer begins when it is asked.
    world.pass(5_000);
    world.cut();
    world.pass(1_000);
    world.pass(10_000);
    world.welcome(ME_AGAIN);
    world.pass(14_999);
    assert_eq!(world.session.state(), State::Resuming);
    world.pass(1);
    assert_eq!(world.session.state(), State::Waiting);
}

/// Silence while nothing is read proves nothing.
#[test]
fn nor_is_who_does_not_read_answered() {
    let mut config = resuming();
    config.max_queued_events = 2;
    let mut world = World::new(config);
    world.open();
    let connection = world.connection.expect("a connection");
    let mut frame = Vec::new();
    put_frame(&mut frame, OpCode::Data(Data::Text), b"{}");
    for _ in 0..2 {
        let bytes = &mut frame.clone();
        let input = Input::Received { connection, bytes };
        let _ = world.session.handle(world.now, input);
    }
    let wanted = false;
    assert_eq!(
        world.session.poll(),
        Output::ReadInterest { connection, wanted }
    );
    world.now.mono = world.now.mono + Duration::from_millis(15_000);
    let _ = world.session.handle(world.now, Input::Tick);
    world.drain();
    assert_eq!(world.session.state(), State::Resuming);
    world.pass(14_999);
    assert_eq!(world.session.state(), State::Resuming);
    world.pass(1);
    assert_eq!(world.session.state(), State::Waiting);
}

/// covers A4-03, A4-15: another connection has the session now.
#[test]
fn who_is_replaced_does_not_come_back() {
    let mut world = with_session();
    world.told();
    world.say(
        r#"{"type":"closing","code":4409,"reason":"the session goes on on another connection"}"#,
    );
    world.close(4409);
    assert_eq!(world.session.state(), State::Closed);
    let told = world.told();
    let Some(Event::Ended(EndCause::Server(last))) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!((last.code, last.reconnect_in), (4409, None));
    assert_eq!(world.deadline, None);
}

/// covers A4-15: a program that was ended goes on where it was.
#[test]
fn a_session_of_an_earlier_run_is_taken_up() {
    let mut config = resuming();
    config.former = Some(Former {
        client: client(ME),
        secret: SessionSecret([1; 16]),
        after: Some(5),
    });
    let mut world = World::new(config);
    world.welcome(ME_AGAIN);
    assert_eq!(world.session.client_id(), None, "that is open");
    let sent = world.sent();
    assert_eq!(without_id(&sent[0]), resume_after(5));
    world.told();
    world.say(&session(&id_of(&sent[0]), (ME, SECRET), true, 6));
    world.say(&mail(5));
    world.say(&mail(6));
    assert_eq!(short(&mut world), [&*format!("session {ME} true"), "6"]);
}

/// Who asks for a session by a message of its own has it.
#[test]
fn a_session_that_the_program_asked_for_is_known() {
    let by_message = |world: &mut World| {
        world.json(1, BARE);
        session("7", (ME, SECRET), false, 0).replace(r#""id":7,"#, "")
    };
    let by_request = |world: &mut World| {
        world.request(1, BARE);
        session(&world.only_id(), (ME, SECRET), false, 0)
    };
    let ways: [&dyn Fn(&mut World) -> String; 2] = [&by_message, &by_request];
    for way in ways {
        let mut world = World::new(resuming());
        world.welcome(ME);
        let id = world.only_id();
        world.say(&refusal(&id, "unknown_type"));
        let answer = way(&mut world);
        world.say(&answer);
        world.sent();
        assert_eq!(short(&mut world), [format!("session {ME} false")]);
        again(&mut world);
        assert_eq!(world.sent_plain(), [resume_after(0)]);
    }
}

/// A welcome that comes when it is settled who it is names nobody.
#[test]
fn a_welcome_that_is_late_changes_nothing() {
    let mut world = with_session();
    world.cut();
    world.pass(world.wait_ms());
    world.open();
    let id = world.only_id();
    world.say(&session(&id, (ME, SECRET), true, 0));
    assert_eq!(world.session.state(), State::Resuming);
    world.say(&format!(r#"{{"type":"welcome","clientId":"{ME_AGAIN}"}}"#));
    assert_eq!(world.session.state(), State::Open);
    assert_eq!(world.session.client_id(), Some(client(ME)));
}

/// Who is in no room on this connection has left it at once.
#[test]
fn a_room_can_be_left_before_it_is_settled_who_leaves_it() {
    let mut world = with_session();
    world.join(1, "tea");
    let id = world.only_id();
    world.say(&joined("tea", &id));
    again(&mut world);
    let id = world.only_id();
    world.told();
    world.leave(2, "tea");
    assert_eq!(world.outcomes(), [(2, "Left".to_owned())]);
    world.say(&session(&id, (ME, SECRET), true, 0));
    assert_eq!(world.sent(), [""; 0]);
    assert_eq!(world.session.state(), State::Open);
}

#[test]
fn whoever_does_not_want_a_session_has_none() {
    let mut world = World::new(quiet());
    world.welcome(ME);
    assert_eq!(world.sent(), [""; 0]);
    // Mail without a session has no offset that could be old.
    world.say(&mail(2));
    world.say(&mail(1));
    assert_eq!(short(&mut world), ["2", "1"]);
}

/// The answer to a request of a former connection means nothing.
#[test]
fn an_answer_of_yesterday_means_nothing() {
    let mut world = with_session();
    again(&mut world);
    let old = world.only_id();
    again(&mut world);
    let new = world.only_id();
    assert_ne!(old, new);
    world.say(&refusal(&old, "stale_session"));
    assert_eq!(world.session.state(), State::Resuming);
    world.say(&session(&new, (ME, SECRET), true, 0));
    assert_eq!(world.session.state(), State::Open);
    let gaps: Vec<Gap> = Vec::new();
    assert_eq!(world.session.identity.hear(Some(1)), Some(gaps));
}

/// Its mail can be lost with the thread of the server that kept it, and counts from the beginning then.
#[test]
fn mail_that_begins_anew_is_heard() {
    let mut world = with_session();
    for offset in 1..=7 {
        world.say(&mail(offset));
    }
    again(&mut world);
    let id = world.only_id();
    world.told();
    world.say(&session(&id, (ME, SECRET), true, 0));
    world.say(&mail(1));
    world.say(&mail(2));
    let told = short(&mut world);
    assert_eq!(
        told,
        [format!("session {ME} true"), "1".to_owned(), "2".to_owned()]
    );
    again(&mut world);
    let sent = world.sent();
    assert_eq!(without_id(&sent[0]), resume_after(2));
}
