//! Files that pass through.

use roomwire_core::Config;

use super::{LONG_MS, list, with};
use crate::stage::{Play, Who};

list! {
    a_file_reaches_a_room: prompt,
    a_file_reaches_one_client: prompt,
    a_file_goes_on_from_another_connection: prompt,
    files_are_given_up: prompt,
    files_have_their_limits: || prompt_with(|config| {
        config.files.max_per_client = 1;
        config.files.max_file_bytes = Some(100);
    }),
    a_file_that_is_not_what_it_should_be: prompt,
    a_file_that_nobody_wants: || prompt_with(|config| config.files.idle_ms = 300),
    a_sender_that_does_not_come_back: || prompt_with(|config| config.files.resume_ms = 300),
}

fn prompt() -> Config {
    prompt_with(|_| {})
}

/// Nothing is done because something took its time, and nobody is waited for.
fn prompt_with(change: impl FnOnce(&mut Config)) -> Config {
    with(|config| {
        config.files.gather_ms = 0;
        config.files.idle_ms = LONG_MS;
        config.files.resume_ms = LONG_MS;
        config.files.patience_ms = LONG_MS;
        config.files.progress_interval_ms = LONG_MS;
        change(config);
    })
}

const HASH: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn start(play: &mut Play<'_>, who: Who, to: &str) {
    play.say(
        who,
        &format!(
            r#"{{"type":"file_start","transferId":"f1",{to},"name":"../hello.txt","size":5,"mimeType":"text/plain","id":1}}"#
        ),
    );
}

fn two_at_tea(play: &mut Play<'_>) -> (Who, Who) {
    let (ada, bob) = (play.connect("ada"), play.connect("bob"));
    play.join(ada, "tea");
    play.join(bob, "tea");
    (ada, bob)
}

fn accepts(play: &mut Play<'_>, who: Who, name: &str) {
    play.say(
        who,
        &format!(
            r#"{{"type":"file_credit","transfer":<file of {name}>,"offset":0,"window":65536}}"#
        ),
    );
}

fn sends(play: &mut Play<'_>, who: Who, name: &str) {
    play.say(
        who,
        &format!(
            r#"{{"type":"file_chunk","transfer":<file of {name}>,"offset":0,"data":"aGVsbG8=","encoding":"base64"}}"#
        ),
    );
    play.say(
        who,
        &format!(r#"{{"type":"file_end","transfer":<file of {name}>,"size":5,"hash":"{HASH}"}}"#),
    );
}

// covers A6-01, A6-02, A6-03, A6-06
fn a_file_reaches_a_room(play: &mut Play<'_>) {
    let (ada, bob) = two_at_tea(play);
    let eve = play.connect("eve");
    play.join(eve, "tea");
    start(play, ada, r#""room":"tea""#);
    play.hears(ada, r#"{"type":"file_accepted","id":1,"#);
    play.hears(bob, r#""name":"hello.txt","size":5,"#);
    accepts(play, bob, "bob");
    play.hears(ada, "file_wanted");
    play.hears(ada, "file_progress");
    sends(play, ada, "ada");
    play.hears(bob, HASH);
    play.hears_nothing(eve);
    play.say(bob, r#"{"type":"file_complete","transfer":<file of bob>}"#);
    play.hears(ada, r#""completed":1,"failed":0}"#);
    play.say(
        bob,
        r#"{"type":"file_complete","transfer":<file of bob>,"id":2}"#,
    );
    play.hears(bob, "transfer_unknown");
}

// covers A6-05
fn a_file_reaches_one_client(play: &mut Play<'_>) {
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    start(play, ada, r#""to":"<bob>""#);
    play.hears(bob, r#"{"type":"file_offered""#);
    play.say(
        eve,
        r#"{"type":"file_credit","transfer":<file of bob>,"offset":0,"window":1}"#,
    );
    play.hears(eve, "transfer_unknown");
    accepts(play, bob, "bob");
    sends(play, ada, "ada");
    play.say(
        bob,
        r#"{"type":"file_complete","transfer":<file of bob>,"id":1}"#,
    );
    play.hears(bob, "ack");
    play.hears(ada, "file_completed");
    start(play, ada, r#""to":"server""#);
    play.hears(ada, "forbidden");
    start(play, ada, r#""to":"nobody""#);
    play.hears(ada, "target_not_found");
}

// covers A6-08
fn a_file_goes_on_from_another_connection(play: &mut Play<'_>) {
    let (ada, bob) = two_at_tea(play);
    start(play, ada, r#""room":"tea""#);
    accepts(play, bob, "bob");
    play.reset(ada);
    let eve = play.connect("eve");
    start(play, eve, r#""room":"tea","transferSecret":"AAAA""#);
    play.hears(eve, "transfer_unknown");
    start(
        play,
        eve,
        r#""room":"tea","transferSecret":"<secret of ada>""#,
    );
    play.hears(eve, "file_accepted");
    play.hears(eve, "file_wanted");
    sends(play, eve, "eve");
    play.hears(bob, "file_end");
    play.say(bob, r#"{"type":"file_complete","transfer":<file of bob>}"#);
    play.hears(eve, "file_completed");
}

// covers A6-04
fn files_are_given_up(play: &mut Play<'_>) {
    let (ada, bob) = two_at_tea(play);
    start(play, ada, r#""room":"tea""#);
    accepts(play, bob, "bob");
    play.say(
        ada,
        r#"{"type":"file_abort","transfer":<file of ada>,"reason":"no","id":2}"#,
    );
    play.hears(ada, "ack");
    play.hears(bob, r#"{"type":"file_abort""#);
    start(play, ada, r#""room":"tea""#);
    accepts(play, bob, "bob");
    play.say(
        bob,
        r#"{"type":"file_abort","transfer":<file of bob>,"id":3}"#,
    );
    play.hears(bob, "ack");
}

// covers A6-07
fn files_have_their_limits(play: &mut Play<'_>) {
    let (ada, bob) = two_at_tea(play);
    start(play, ada, r#""room":"tea""#);
    play.say(
        ada,
        r#"{"type":"file_start","transferId":"f2","room":"tea","name":"a","size":5,"mimeType":"","id":2}"#,
    );
    play.hears(ada, "transfer_limit");
    play.say(
        bob,
        r#"{"type":"file_start","transferId":"f2","room":"tea","name":"a","size":101,"mimeType":"","id":2}"#,
    );
    play.hears(bob, "too_large");
    play.say(
        ada,
        r#"{"type":"file_chunk","transfer":<file of ada>,"offset":0,"data":"aGVsbG8=","encoding":"base64"}"#,
    );
    play.hears(ada, "transfer_unexpected");
}

// covers A6-03
fn a_file_that_is_not_what_it_should_be(play: &mut Play<'_>) {
    let (ada, bob) = two_at_tea(play);
    start(play, ada, r#""room":"tea""#);
    accepts(play, bob, "bob");
    play.say(
        ada,
        r#"{"type":"file_chunk","transfer":<file of ada>,"offset":0,"data":"SEVMTE8=","encoding":"base64"}"#,
    );
    play.say(
        ada,
        &format!(r#"{{"type":"file_end","transfer":<file of ada>,"hash":"{HASH}"}}"#),
    );
    play.hears(ada, r#""code":"transfer_corrupt""#);
    play.hears(bob, r#""code":"transfer_corrupt""#);
}

// covers A6-04
fn a_file_that_nobody_wants(play: &mut Play<'_>) {
    let (ada, bob) = two_at_tea(play);
    start(play, ada, r#""room":"tea""#);
    play.pass(600);
    play.hears(ada, r#""code":"transfer_timeout""#);
    play.hears_nothing(bob);
}

// covers A6-04, A6-08
fn a_sender_that_does_not_come_back(play: &mut Play<'_>) {
    let (ada, bob) = two_at_tea(play);
    start(play, ada, r#""room":"tea""#);
    accepts(play, bob, "bob");
    play.reset(ada);
    play.hears(bob, "member_left");
    play.pass(600);
    play.hears(bob, r#""code":"transfer_lost""#);
}
