//! The program around the server: what it is told, asks for, and answers.

use roomwire_core::ErrorCode;
use roomwire_core::config::ListenerConfig;
use roomwire_core::server::Outcome;

use super::{list, usual, with};
use crate::stage::Play;

list! {
    the_program_answers_types_of_its_own: || with(|config| {
        config.application_types = vec!["dice".to_owned()];
    }),
    what_the_program_does_not_answer_is_its_fault: || with(|config| {
        config.application_types = vec!["dice".to_owned()];
        config.timeouts.application_reply_ms = 100;
    }),
    plain_text_is_a_type_of_the_program: || with(|config| {
        config.application_types = vec!["text".to_owned()];
        config.listeners = vec![ListenerConfig { plain_text: true, ..ListenerConfig::default() }];
    }),
    the_program_speaks: usual,
    the_program_removes_a_client: usual,
    the_program_closes_a_connection: usual,
    the_program_hears_how_clients_go: usual,
}

fn the_program_answers_types_of_its_own(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    for number in 1..=3 {
        play.say(
            ada,
            &format!(r#"{{ "type":"dice","sides":6.0,"id":{number}}}"#),
        );
        play.program_hears(r#"<ada> asks for dice: { "type":"dice","sides":6.0"#);
        play.hears_nothing(ada);
    }
    play.say(bob, r#"{"type":"dice"}"#);
    play.program_answers(Outcome::Reply(r#"{"type":"rolled","n":4}"#.to_owned()));
    play.hears(ada, r#"{"id":1,"type":"rolled","n":4}"#);
    play.program_answers(Outcome::Ack);
    play.hears(ada, r#"{"type":"ack","id":2}"#);
    play.program_answers(Outcome::Error {
        code: ErrorCode::Forbidden,
        message: "not \"today\"".to_owned(),
    });
    play.hears(
        ada,
        r#"{"type":"error","id":3,"code":"forbidden","message":"not \"today\""}"#,
    );
    play.program_answers(Outcome::Reply(r#"{"type":"rolled"}"#.to_owned()));
    play.hears(bob, r#"{"type":"rolled"}"#);
}

fn what_the_program_does_not_answer_is_its_fault(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.say(ada, r#"{"type":"dice","id":1}"#);
    play.pass(100);
    play.hears(ada, r#""id":1,"code":"internal""#);
    // Too late.
    play.program_answers(Outcome::Ack);
    play.hears_nothing(ada);
}

fn plain_text_is_a_type_of_the_program(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.say(ada, "hello there");
    play.program_hears("<ada> asks for text: hello there");
    play.program_answers(Outcome::Reply(r#"{"type":"heard"}"#.to_owned()));
    play.hears(ada, r#"{"type":"heard"}"#);
    play.say(ada, r#"{"type":"ping"}"#);
    play.hears(ada, "pong");
}

fn the_program_speaks(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    for who in [ada, bob] {
        play.join(who, "tea");
    }
    play.program_publishes("tea", r#"{"type":"news","n":1.0}"#);
    play.hears(ada, r#"{"type":"news","n":1.0}"#);
    play.hears(bob, r#"{"type":"news","n":1.0}"#);
    play.hears_nothing(eve);
    play.program_sends(eve, r#"{"type":"news","n":2}"#);
    play.hears(eve, r#"{"type":"news","n":2}"#);
    play.program_publishes("milk", r#"{"type":"news","n":3}"#);
    play.say(eve, r#"{"type":"ping"}"#);
    play.close(eve, 1000, "");
    play.program_sends(eve, r#"{"type":"news","n":4}"#);
    play.hears_nothing(ada);
}

fn the_program_removes_a_client(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.program_kicks(bob, "tea");
    play.hears(bob, r#"{"type":"left_room","room":"tea"}"#);
    play.hears(
        ada,
        r#"{"type":"member_left","room":"tea","clientId":"<bob>","reason":"kicked"}"#,
    );
    play.program_kicks(bob, "tea");
    // On its way to another thread it could come after what bob says next: this comes behind it.
    play.program_sends(bob, r#"{"type":"note"}"#);
    play.hears(bob, r#"{"type":"note"}"#);
    play.say(bob, r#"{"type":"room_message","room":"tea","data":1}"#);
    play.hears(bob, "not_member");
    play.join(bob, "tea");
    play.hears(ada, "member_joined");
}

fn the_program_closes_a_connection(play: &mut Play<'_>) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    play.program_closes(bob, 4000, "enough", None);
    play.hears(bob, r#"{"type":"closing","code":4000,"reason":"enough"}"#);
    play.hears(bob, r#"Close(4000, "enough")"#);
    play.hears(bob, "the end");
    play.hears(ada, r#""clientId":"<bob>","reason":"kicked""#);
    play.program_hears("<bob> closed: Command, 4000, after 1 messages");
    let eve = play.connect("eve");
    play.program_closes(eve, 1013, "later", Some(2_500));
    play.hears(
        eve,
        r#""code":1013,"reason":"later","reconnectAfterMs":2500"#,
    );
    let zoe = play.connect("zoe");
    play.program_closes(zoe, 1005, &"\u{e9}".repeat(100), None);
    play.hears(zoe, "Close(1000, ");
}

fn the_program_hears_how_clients_go(play: &mut Play<'_>) {
    let [ada, bob, eve, zoe] = ["ada", "bob", "eve", "zoe"].map(|name| play.connect(name));
    play.say(ada, r#"{"type":"hello","id":1}"#);
    play.close(ada, 1001, "away");
    play.program_hears("<ada> closed: Client, 1001, after 1 messages");
    play.finish(bob);
    play.program_hears("<bob> closed: Lost, 1006, after 0 messages");
    play.hears(bob, "the end");
    play.reset(eve);
    play.program_hears("<eve> closed: Lost, 1006");
    play.bytes(zoe, &[0xFF, 0xFF]);
    play.program_hears("<zoe> closed: Protocol, 1002");
}
