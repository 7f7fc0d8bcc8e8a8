//! Rooms, and what was said there while a session was away.

use super::*;

const EPOCH: &str = "00000000000000aa";
const NEW: &str = "00000000000000bb";
const NEWER: &str = "00000000000000cc";

/// One that is welcome, and in `tea`, whose log stands at offset 4.
fn in_tea() -> World {
    let mut world = World::welcome_to(quiet());
    world.join(1, "tea");
    joined(&mut world, &at(EPOCH, 4));
    assert_eq!(world.outcomes(), [(1, "joined, 1".to_owned())]);
    world
}

fn at(epoch: &str, last: u64) -> String {
    format!(r#","history":{{"epoch":"{epoch}","last":{last}}}"#)
}

/// Answers the only thing that was sent, a join of `tea`.
#[track_caller]
fn joined(world: &mut World, history: &str) {
    let id = world.only_id();
    world.say(&format!(
        r#"{{"type":"joined_room","id":{id},"room":"tea","members":["{ME}"],"total":1{history}}}"#
    ));
}

fn live(offset: u64) -> String {
    format!(
        r#"{{"type":"room_message","room":"tea","from":"{BOB}","data":{offset},"timestamp":1,"offset":{offset}}}"#
    )
}

fn kept_by(offset: u64, from: &str) -> String {
    format!(r#"{{"offset":{offset},"from":"{from}","data":{offset},"timestamp":1}}"#)
}

fn page(epoch: &str, offsets: &[u64], more: &str) -> String {
    let messages: Vec<String> = offsets.iter().map(|it| kept_by(*it, BOB)).collect();
    page_of(epoch, &messages, more)
}

fn page_of(epoch: &str, messages: &[String], more: &str) -> String {
    let messages = messages.join(",");
    format!(
        r#"{{"type":"history","room":"tea","epoch":"{epoch}","last":9,"messages":[{messages}],"more":false{more}}}"#
    )
}

fn resumed(epoch: &str, last: u64, complete: bool) -> String {
    format!(
        r#"{{"type":"resumed","room":"tea","epoch":"{epoch}","last":{last},"complete":{complete}}}"#
    )
}

fn join_after(after: u64, epoch: &str) -> Vec<String> {
    vec![format!(
        r#"{{"type":"join","room":"tea","after":{after},"epoch":"{epoch}"}}"#
    )]
}

/// What was told of rooms, in short: offsets, and words for the rest.
fn short(world: &mut World) -> Vec<String> {
    let word = |event| match event {
        Event::RoomMessage(it) => Some(format!("{}", it.offset.unwrap_or_default())),
        Event::OwnMessage(it) => Some(format!("own {}", it.offset.unwrap_or_default())),
        Event::Gap { gap, .. } => Some(format!("gap {}-{}", gap.from, gap.to)),
        Event::Reset { position, .. } => {
            Some(format!("reset {} {}", position.epoch, position.last))
        }
        Event::Resumed { complete, .. } => Some(format!("resumed {complete}")),
        _ => None,
    };
    world.told().into_iter().filter_map(word).collect()
}

/// covers A4-15: the rooms are joined again, after what was heard last.
#[test]
fn a_room_is_joined_again_after_what_was_heard_last() {
    let mut world = in_tea();
    world.say(&live(5));
    world.say(&live(6));
    world.come_back();
    assert_eq!(world.sent_plain(), join_after(6, EPOCH));
}

/// covers A4-15: as if it were said now, each once and in order, and then what waited.
#[test]
fn what_was_missed_is_told_once_and_in_order() {
    let mut world = in_tea();
    for offset in [5, 6, 6] {
        world.say(&live(offset));
    }
    assert_eq!(short(&mut world), ["5", "6"]);
    world.come_back();
    world.send(2, Content::say("tea", "\"behind\"").expect("JSON"));
    joined(&mut world, &at(EPOCH, 9));
    assert_eq!(
        world.sent_plain().len(),
        1,
        "what waits need not wait for that"
    );
    world.say(&page(EPOCH, &[6, 7], ""));
    world.say(&page(EPOCH, &[8, 9], ""));
    world.say(&resumed(EPOCH, 9, true));
    world.say(&live(9));
    world.say(&live(10));
    assert_eq!(
        short(&mut world),
        ["7", "8", "9", "resumed true", "10"],
        "and no page is told as it is"
    );
    world.come_back();
    assert_eq!(world.sent_plain(), join_after(10, EPOCH));
}

#[test]
fn a_page_that_was_cut_off_is_gone_on_with() {
    let mut world = in_tea();
    world.come_back();
    joined(&mut world, &at(EPOCH, 9));
    world.say(&page(EPOCH, &[5, 6], ""));
    world.come_back();
    assert_eq!(world.sent_plain(), join_after(6, EPOCH));
}

#[test]
fn its_own_messages_are_set_apart_whichever_of_its_ids_they_have() {
    let mut world = in_tea();
    world.come_back();
    joined(&mut world, &at(EPOCH, 7));
    let messages = [kept_by(5, ME), kept_by(6, BOB), kept_by(7, ME_AGAIN)];
    world.say(&page_of(EPOCH, &messages, ""));
    assert_eq!(short(&mut world), ["own 5", "6", "own 7"]);
}

/// covers A4-15: or it says that it cannot.
#[test]
fn gaps_and_logs_that_have_begun_anew_are_told() {
    let mut world = in_tea();
    world.come_back();
    joined(&mut world, &at(EPOCH, 9));
    world.say(&page(EPOCH, &[8, 9], r#","gap":{"from":5,"to":7}"#));
    world.say(&resumed(EPOCH, 9, false));
    assert_eq!(short(&mut world), ["gap 5-7", "8", "9", "resumed false"]);
    world.come_back();
    joined(&mut world, &at(NEW, 2));
    world.say(&page(NEW, &[1, 2], r#","reset":true"#).replace(r#""last":9"#, r#""last":2"#));
    world.say(&resumed(NEW, 2, false));
    let reset = |epoch: &str, last| format!("reset {epoch} {last}");
    assert_eq!(
        short(&mut world),
        [&*reset(NEW, 2), "1", "2", "resumed false"]
    );
    world.say(&format!(
        r#"{{"type":"reset","room":"tea","epoch":"{NEWER}","last":0}}"#
    ));
    world.say(&live(1));
    assert_eq!(short(&mut world), [&*reset(NEWER, 0), "1"]);
    world.come_back();
    assert_eq!(world.sent_plain(), join_after(1, NEWER));
}

/// A log begins anew while what was missed of the former one is asked for: what comes live of it is in the answer, too.
#[test]
fn a_new_log_that_was_told_of_is_no_news_in_a_page() {
    let mut world = in_tea();
    world.come_back();
    let join = world.only_id();
    world.say(&format!(
        r#"{{"type":"reset","room":"tea","epoch":"{NEW}","last":0}}"#
    ));
    world.say(&live(1));
    world.say(&format!(
        r#"{{"type":"joined_room","id":{join},"room":"tea","members":[],"total":2{}}}"#,
        at(NEW, 2)
    ));
    world.say(&page(NEW, &[1, 2], r#","reset":true"#));
    world.say(&resumed(NEW, 2, false));
    let reset = format!("reset {NEW} 0");
    assert_eq!(short(&mut world), [&*reset, "1", "2", "resumed false"]);
}

/// What is known to be missing is not asked for again.
#[test]
fn a_gap_is_heard_even_if_nothing_follows_it() {
    let mut world = in_tea();
    world.come_back();
    joined(&mut world, &at(EPOCH, 9));
    world.say(&page(EPOCH, &[], r#","gap":{"from":5,"to":7}"#));
    world.come_back();
    assert_eq!(world.sent_plain(), join_after(7, EPOCH));
}

/// Where a log stands is what the server says last.
#[test]
fn a_room_that_keeps_nothing_any_more_has_no_log() {
    let mut world = in_tea();
    world.come_back();
    joined(&mut world, "");
    world.say(r#"{"type":"resumed","room":"tea","complete":false}"#);
    world.come_back();
    let join = r#"{"type":"join","room":"tea","after":0}"#;
    assert_eq!(without_id(&world.sent[0]), join);
    joined(&mut world, &at(NEW, 6));
    world.say(&resumed(NEW, 6, false));
    world.come_back();
    assert_eq!(world.sent_plain(), join_after(6, NEW));
}

#[test]
fn what_a_new_log_has_already_is_asked_for_once() {
    let mut world = in_tea();
    let reset = format!(r#"{{"type":"reset","room":"tea","epoch":"{NEW}","last":2}}"#);
    world.say(&reset);
    let id = id_of(&world.sent[0]);
    assert_eq!(world.sent_plain(), join_after(0, NEW));
    world.say(&format!(
        r#"{{"type":"joined_room","id":{id},"room":"tea","members":[],"total":2{}}}"#,
        at(NEW, 2)
    ));
    world.say(&page(NEW, &[1, 2], ""));
    world.say(&resumed(NEW, 2, true));
    // Once more, for others.
    world.say(&reset);
    assert_eq!(world.sent(), [""; 0]);
    world.say(&live(3));
    let told = short(&mut world);
    let offsets: Vec<&String> = told.iter().filter(|it| it.parse::<u64>().is_ok()).collect();
    assert_eq!(offsets, ["1", "2", "3"]);
}

#[test]
fn a_new_log_is_asked_for_by_its_name_after_half_of_a_page() {
    let mut world = in_tea();
    world.come_back();
    joined(&mut world, &at(NEW, 9));
    world.say(&page(NEW, &[1, 2], r#","reset":true"#));
    world.come_back();
    assert_eq!(world.sent_plain(), join_after(2, NEW));
}

#[test]
fn history_that_was_asked_for_is_told_as_it_is() {
    let mut world = in_tea();
    world.come_back();
    joined(&mut world, &at(EPOCH, 4));
    world.request(2, r#"{"type":"history","room":"tea"}"#);
    // So is one of the program's own, under its own name, in the middle of what was missed.
    world.say(&page(EPOCH, &[1], "").replace(r#""history","#, r#""history","id":7,"#));
    let told = world.told();
    let is_page = |event: &Event| matches!(event, Event::Message(message) if matches!(message.told, Told::History(_)));
    assert!(told.iter().any(is_page), "{told:?}");
    world.say(&resumed(EPOCH, 4, true));
    world.told();
    let asked = page(EPOCH, &[1], "").replace(
        r#""history","#,
        &format!(r#""history","id":{},"#, world.only_id()),
    );
    world.say(&asked);
    world.say(&page(EPOCH, &[2], ""));
    let told = world.told();
    assert_eq!(outcomes(&told), [(2, asked)]);
    assert!(is_page(&told[1]));
}

#[test]
fn a_room_that_keeps_nothing_says_that_something_may_be_missing() {
    let mut world = World::welcome_to(quiet());
    world.join(1, "tea");
    joined(&mut world, "");
    world.come_back();
    assert_eq!(
        world.sent[0].split(r#","id""#).next(),
        Some(r#"{"type":"join","room":"tea","after":0"#)
    );
    joined(&mut world, "");
    world.say(r#"{"type":"resumed","room":"tea","complete":false}"#);
    assert_eq!(short(&mut world), ["resumed false"]);
    world.say(&live(1).replace(r#","offset":1"#, ""));
    assert_eq!(short(&mut world), ["0"], "what has no offset is always new");
}

#[test]
fn left_while_it_is_being_joined_is_left() {
    let mut world = World::welcome_to(quiet());
    world.join(1, "tea");
    world.leave(2, "tea");
    let sent = world.sent();
    let (join, leave) = (id_of(&sent[0]), id_of(&sent[1]));
    world.say(&format!(
        r#"{{"type":"joined_room","id":{join},"room":"tea","members":[],"total":1}}"#
    ));
    world.say(&format!(
        r#"{{"type":"left_room","id":{leave},"room":"tea"}}"#
    ));
    assert_eq!(
        world.outcomes(),
        [(1, "joined, 1".to_owned()), (2, "left".to_owned())]
    );
    world.come_back();
    assert_eq!(world.sent(), [""; 0]);
}

#[test]
fn left_and_joined_again_is_joined() {
    let mut world = in_tea();
    world.leave(2, "tea");
    world.join(3, "tea");
    let sent = world.sent();
    world.say(&format!(
        r#"{{"type":"left_room","id":{},"room":"tea"}}"#,
        id_of(&sent[0])
    ));
    assert_eq!(without_id(&sent[1]), r#"{"type":"join","room":"tea"}"#);
    world.say(&format!(
        r#"{{"type":"joined_room","id":{},"room":"tea","members":[],"total":1{}}}"#,
        id_of(&sent[1]),
        at(EPOCH, 8)
    ));
    world.come_back();
    assert_eq!(world.sent_plain(), join_after(8, EPOCH));
}

/// Two rooms that are being joined, and what waits behind them: the ids of both.
fn two_under_way() -> (World, String, String) {
    let mut world = World::new(quiet());
    world.join(1, "tea");
    world.join(2, "milk");
    world.json(3, "{}");
    world.welcome(ME);
    let sent = world.sent();
    assert_eq!(sent.len(), 2);
    world.told();
    (world, id_of(&sent[0]), id_of(&sent[1]))
}

fn patience(id: &str, ms: u64) -> String {
    format!(
        r#"{{"type":"error","id":{id},"code":"rate_limited","message":"","retryAfterMs":{ms}}}"#
    )
}

#[test]
fn a_room_that_asks_for_patience_is_asked_again() {
    let (mut world, tea, milk) = two_under_way();
    world.say(&patience(&tea, 600));
    world.say(&format!(
        r#"{{"type":"joined_room","id":{milk},"room":"milk","members":[],"total":1}}"#
    ));
    world.pass(599);
    assert_eq!(world.sent(), [""; 0]);
    world.pass(1);
    joined(&mut world, "");
    assert_eq!(world.sent(), ["{}"]);
    let done = |item, word: &str| (item, word.to_owned());
    assert_eq!(
        world.outcomes(),
        [done(2, "joined, 1"), done(1, "joined, 1"), done(3, "Sent")]
    );
}

/// A room that is back already is asked for again like anything else: behind what waits.
#[test]
fn a_room_that_is_back_can_be_joined_while_others_are_not() {
    let (mut world, tea, milk) = two_under_way();
    let joined = |room: &str, id: &str| {
        format!(r#"{{"type":"joined_room","id":{id},"room":"{room}","members":[],"total":1}}"#)
    };
    world.say(&joined("tea", &tea));
    world.join(4, "tea");
    assert_eq!(world.sent(), [""; 0]);
    world.say(&joined("milk", &milk));
    let sent = world.sent();
    assert_eq!((sent.len(), &*sent[0]), (2, "{}"));
    world.told();
    world.say(&joined("tea", &id_of(&sent[1])));
    assert_eq!(world.outcomes(), [(4, "joined, 1".to_owned())]);
}

#[test]
fn and_leaves_no_timer_if_the_connection_breaks_meanwhile() {
    let (mut world, tea, _) = two_under_way();
    world.say(&patience(&tea, 9_999));
    world.cut();
    let lost = |item| (item, "ConnectionLost".to_owned());
    let mut outcomes = world.outcomes();
    outcomes.sort();
    assert_eq!(outcomes, [lost(1), lost(2)]);
    assert_eq!(world.wait_ms(), 1_000);
    world.pass(1_000);
    world.welcome(ME);
    let again = world.sent();
    assert_eq!(again.len(), 2);
    for (text, room) in again.iter().zip(["tea", "milk"]) {
        assert_eq!(world.session.state(), State::Resuming);
        world.say(&format!(
            r#"{{"type":"joined_room","id":{},"room":"{room}","members":[],"total":1}}"#,
            id_of(text)
        ));
    }
    assert_eq!(world.session.state(), State::Open);
    world.pass(5_000);
    assert_eq!(world.deadline, None);
}

/// It was in the room on a connection before, which is none of this one's.
#[test]
fn who_is_not_back_in_a_room_has_left_it_at_once() {
    let mut world = in_tea();
    world.come_back();
    let join = world.only_id();
    world.say(&patience(&join, 600));
    world.leave(2, "tea");
    assert_eq!(world.outcomes(), [(2, "Left".to_owned())]);
    assert_eq!(world.sent(), [""; 0]);
}

/// Who leaves a room while it asks for patience is not in it when that is over.
#[test]
fn nor_is_it_asked_again_if_it_is_not_wanted_any_more() {
    let (mut world, tea, milk) = two_under_way();
    world.say(&patience(&tea, 600));
    world.leave(4, "tea");
    let done = |item, word: &str| (item, word.to_owned());
    assert_eq!(world.outcomes(), [done(1, "Left"), done(4, "Left")]);
    assert_eq!(world.wait_ms(), 5_000, "nothing else is waited for");
    world.say(&format!(
        r#"{{"type":"joined_room","id":{milk},"room":"milk","members":[],"total":1}}"#
    ));
    assert_eq!(world.sent(), ["{}"], "nothing waits for it");
    world.pass(1_000);
    assert_eq!(world.sent(), [""; 0]);
}

/// A refusal of what is not wanted any more is none, whether or not it says when to ask again.
#[test]
fn a_refusal_after_a_leave_is_not_waited_for() {
    for more in [r#","retryAfterMs":600"#, ""] {
        let mut world = World::new(quiet());
        world.join(1, "tea");
        world.welcome(ME);
        let join = world.only_id();
        world.leave(2, "tea");
        world.told();
        world.say(&format!(
            r#"{{"type":"error","id":{join},"code":"rate_limited","message":""{more}}}"#
        ));
        let told = world.told();
        assert_eq!(outcomes(&told), [(1, "Left".to_owned())]);
        assert_eq!(state_of(&told), Some(State::Open));
        world.sent();
        world.pass(1_000);
        assert_eq!(world.sent(), [""; 0]);
    }
}

#[test]
fn a_room_that_refuses_is_not_asked_again() {
    let mut world = World::welcome_to(quiet());
    world.join(1, "tea");
    let id = world.only_id();
    world.say(&format!(
        r#"{{"type":"error","id":{id},"code":"room_full","message":"no"}}"#
    ));
    assert_eq!(world.outcomes(), [(1, "room_full".to_owned())]);
    world.come_back();
    assert_eq!(world.sent(), [""; 0]);
}

#[test]
fn a_room_that_was_left_or_taken_away_is_not_joined_again() {
    let leave = |world: &mut World| world.leave(2, "tea");
    let removed = |world: &mut World| world.say(r#"{"type":"left_room","room":"tea"}"#);
    let by_message = |world: &mut World| {
        world.json(2, r#"{"type":"leave","room":"tea"}"#);
        world.say(r#"{"type":"left_room","room":"tea"}"#);
    };
    let by_request = |world: &mut World| {
        world.request(2, r#"{"type":"leave","room":"tea"}"#);
        let id = world.only_id();
        world.say(&format!(r#"{{"type":"left_room","id":{id},"room":"tea"}}"#));
    };
    let ways: [&dyn Fn(&mut World); 4] = [&leave, &removed, &by_message, &by_request];
    for way in ways {
        let mut world = in_tea();
        way(&mut world);
        world.sent();
        world.come_back();
        assert_eq!(world.sent(), [""; 0]);
    }
}

#[test]
fn a_room_can_be_left_while_there_is_no_connection() {
    let mut world = in_tea();
    world.cut();
    world.leave(2, "tea");
    world.join(3, "milk");
    world.leave(4, "milk");
    let done = |item, word: &str| (item, word.to_owned());
    assert_eq!(
        world.outcomes(),
        [done(2, "Left"), done(3, "Left"), done(4, "Left")]
    );
    world.pass(1_000);
    world.welcome(ME);
    assert_eq!(world.sent(), [""; 0]);
}

/// Whoever has no connection is in no room: a leave has succeeded, whatever became of it.
#[test]
fn a_leave_that_was_on_its_way_when_the_connection_broke_has_succeeded() {
    let mut world = in_tea();
    world.leave(2, "tea");
    world.cut();
    assert_eq!(world.outcomes(), [(2, "Left".to_owned())]);
}

#[test]
fn a_room_joined_by_a_message_is_joined_again_as_well() {
    let by_message = |world: &mut World| {
        world.json(1, r#"{"type":"join","room":"tea"}"#);
        String::new()
    };
    let by_request = |world: &mut World| {
        world.request(1, r#"{"type":"join","room":"tea"}"#);
        format!(r#""id":{},"#, world.only_id())
    };
    let ways: [&dyn Fn(&mut World) -> String; 2] = [&by_message, &by_request];
    for way in ways {
        let mut world = World::welcome_to(quiet());
        let id = way(&mut world);
        world.say(&format!(
            r#"{{"type":"joined_room",{id}"room":"tea","members":[],"total":1{}}}"#,
            at(EPOCH, 4)
        ));
        world.sent();
        world.come_back();
        assert_eq!(world.sent_plain(), join_after(4, EPOCH));
    }
}

#[test]
fn a_room_is_joined_once_however_often_it_is_asked_for() {
    let mut world = in_tea();
    world.come_back();
    world.join(2, "tea");
    world.join(3, "tea");
    joined(&mut world, &at(EPOCH, 4));
    let joined_it = |item| (item, "joined, 1".to_owned());
    assert_eq!(world.outcomes(), [joined_it(2), joined_it(3)]);
}

/// The list of members that a join of the session's own brings is not lost.
#[test]
fn the_answer_to_a_join_that_nobody_asked_for_is_told() {
    let mut world = in_tea();
    world.come_back();
    joined(&mut world, &at(EPOCH, 4));
    let told = world.told();
    assert!(told.iter().any(|event| matches!(
        event,
        Event::Message(Message { told: Told::JoinedRoom { members, .. }, .. }) if members.len() == 1
    )));
}

#[test]
fn many_rooms_are_joined_a_few_at_a_time() {
    let mut world = World::new(quiet());
    let names: Vec<String> = (0..40).map(|at| format!("room {at}")).collect();
    for (item, name) in (0..).zip(&names) {
        world.join(item, name);
    }
    world.welcome(ME);
    let mut asked = Vec::new();
    let mut open = world.sent();
    assert_eq!(open.len(), 16);
    while !open.is_empty() {
        let text = open.remove(0);
        let name = text.split('"').nth(7).expect("a room").to_owned();
        world.say(&format!(
            r#"{{"type":"joined_room","id":{},"room":"{name}","members":[],"total":1}}"#,
            id_of(&text)
        ));
        asked.push(name);
        open.extend(world.sent());
        assert!(open.len() <= 16);
    }
    assert_eq!(asked, names);
    assert_eq!(world.session.state(), State::Open);
    assert_eq!(world.outcomes().len(), 40);
}

/// What was said to a room after it was left is refused, as that was said before.
#[test]
fn a_leave_during_the_joins_goes_before_what_waits() {
    let mut world = in_tea();
    world.cut();
    world.send(2, Content::say("tea", "1").expect("JSON"));
    world.pass(1_000);
    world.welcome(ME_AGAIN);
    let join = world.only_id();
    world.leave(3, "tea");
    assert_eq!(world.sent_plain(), [r#"{"type":"leave","room":"tea"}"#]);
    world.join(4, "tea");
    assert_eq!(world.sent_plain(), [r#"{"type":"join","room":"tea"}"#]);
    world.say(&format!(
        r#"{{"type":"joined_room","id":{join},"room":"tea","members":[],"total":1}}"#
    ));
    assert_eq!(world.session.state(), State::Resuming);
}

/// What was being asked for on a connection that is gone is not being asked for on the next one.
#[test]
fn a_join_of_yesterday_is_not_under_way() {
    let mut config = quiet();
    config.joins_at_once = 1;
    let mut world = World::welcome_to(config);
    let milk = |id: &str| {
        format!(r#"{{"type":"joined_room","id":{id},"room":"milk","members":[],"total":1}}"#)
    };
    world.join(1, "milk");
    let id = world.only_id();
    world.say(&milk(&id));
    world.join(2, "tea");
    joined(&mut world, &at(EPOCH, 4));
    world.come_back();
    let id = world.only_id();
    world.say(&milk(&id));
    assert_eq!(world.sent_plain(), join_after(4, EPOCH));
    // It is cut off, and the next connection is only at the other room when the server has it in this one.
    world.come_back();
    world.say(&format!(
        r#"{{"type":"joined_room","room":"tea","members":[],"total":1{}}}"#,
        at(EPOCH, 4)
    ));
    world.told();
    world.say(&live(7));
    assert_eq!(short(&mut world), ["7"]);
}

/// What comes live while the beginning of a log is asked for waits for its turn.
#[test]
fn what_is_behind_a_hole_is_in_the_answer() {
    let mut world = in_tea();
    world.say(&format!(
        r#"{{"type":"reset","room":"tea","epoch":"{NEW}","last":2}}"#
    ));
    world.say(&live(3));
    let join = world.only_id();
    // So it is while the answer is waited for.
    world.say(&patience(&join, 600));
    world.say(&live(4));
    world.pass(600);
    let join = world.only_id();
    world.say(&format!(
        r#"{{"type":"joined_room","id":{join},"room":"tea","members":[],"total":2{}}}"#,
        at(NEW, 4)
    ));
    world.say(&page(NEW, &[1, 2, 3, 4], ""));
    world.say(&resumed(NEW, 4, true));
    world.say(&live(6));
    let reset = format!("reset {NEW} 2");
    assert_eq!(
        short(&mut world),
        [&*reset, "1", "2", "3", "4", "resumed true", "6"],
        "but not when nothing is asked for"
    );
}
