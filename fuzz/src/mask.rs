//! Masking one connection's stream, or one JSON text.
//!
//! Promises: the length stays; cutting makes no difference; masking what is masked changes nothing that a parser
//! sees; JSON stays JSON and what is none stays none, with the same meaning for the protocol.

use roomwire_core::Config;
use roomwire_core::dialect::json::{self, JsonLimits};
use roomwire_core::replay::{Masker, mask_json};

use crate::input::{Choices, Cuts};

/// Two bytes of cuts, then a stream, or with a flag a text.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let cuts = Cuts::choose(&mut choices);
    if choices.flag() {
        if let Ok(text) = core::str::from_utf8(choices.rest()) {
            check_text(text);
        }
        return;
    }
    let bytes = choices.rest();
    let limits = Config::default().limits;
    let mut whole = bytes.to_vec();
    Masker::new(&limits).mask(&mut whole);
    let mut pieces = bytes.to_vec();
    let mut masker = Masker::new(&limits);
    let mut at = 0;
    for end in cuts.ends(bytes.len()) {
        masker.mask(&mut pieces[at..end]);
        at = end;
    }
    assert_eq!(whole, pieces, "cutting makes a difference");
}

fn check_text(text: &str) {
    let masked = mask_json(text);
    assert_eq!(masked.len(), text.len());
    let limits = JsonLimits {
        max_depth: 4,
        max_fields: 4,
        max_id_bytes: 16,
        max_batch_messages: 4,
    };
    let application = |kind: &str| kind == "app";
    let before = json::decode(text, &limits, &application);
    let after = json::decode(&masked, &limits, &application);
    match (before, after) {
        (Ok(before), Ok(after)) => {
            assert_eq!(before.asked, after.asked);
            assert_eq!(
                core::mem::discriminant(&before.message),
                core::mem::discriminant(&after.message)
            );
        }
        (Err(before), Err(after)) => assert_eq!(before, after),
        (before, after) => panic!("{before:?} became {after:?}"),
    }
    assert_eq!(
        json::is_server_type(text),
        json::is_server_type(&mask_data(text))
    );
}

/// As the value of `data`.
fn mask_data(text: &str) -> String {
    const START: &str = r#"{"data":"#;
    mask_json(&format!("{START}{text}")).split_off(START.len())
}
