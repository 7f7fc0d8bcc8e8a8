//! What is described is taken by the server, and nothing else is.

use std::collections::BTreeSet;

use roomwire_core::ErrorCode;
use roomwire_core::config::Limits;
use roomwire_core::dialect::json::registry::{
    CLIENT, Entry, Field, Format, Rule, SERVER, Shape, Sort,
};
use roomwire_core::dialect::json::{JsonLimits, MAX_TIMESTAMP_BYTES, decode};
use serde_json::{Map, Value, json};

use crate::server::{FILES, MESSAGES, variants};
use crate::{Schemas, advice};

const DECODE: [&str; 2] = [
    include_str!("../../../core/src/dialect/json/decode.rs"),
    include_str!("../../../core/src/dialect/json/decode/files.rs"),
];

// covers A13-06
#[test]
fn what_is_described_is_taken_with_any_of_its_optional_fields() {
    let schemas = Schemas::of_clients();
    for entry in &CLIENT {
        let mut taken = 0;
        for message in with_any_optional_fields(entry) {
            let described = schemas.fault(&message);
            same(&message, described.as_deref(), &read(&message));
            taken += u32::from(described.is_none());
        }
        assert!(taken > 0, "{}", entry.name);
        let refused = 1 << optional(entry).count();
        let has_rules = entry
            .shape
            .rules
            .iter()
            .any(|rule| !matches!(rule, Rule::EncodedData));
        assert_eq!(taken == refused, !has_rules, "{}", entry.name);
    }
}

// covers A13-06
#[test]
fn what_is_required_must_be_there() {
    let schemas = Schemas::of_clients();
    for entry in &CLIENT {
        for message in taken(&schemas, entry) {
            let required = entry.shape.fields.iter().filter(|field| !field.is_optional);
            for name in required.map(|field| field.name).chain(["type"]) {
                let mut less = message.clone();
                less.as_object_mut()
                    .and_then(|fields| fields.remove(name))
                    .expect(name);
                assert!(schemas.fault(&less).is_some(), "{less}");
                same(&less, Some("without it"), &read(&less));
            }
        }
    }
}

// covers A13-06
#[test]
fn what_may_not_stand_in_a_field_is_refused() {
    let schemas = Schemas::of_clients();
    for entry in &CLIENT {
        for message in taken(&schemas, entry) {
            let fields = entry.shape.fields.iter();
            let fields = fields.filter(|field| message.get(field.name).is_some());
            for field in fields {
                for wrong in others() {
                    if is_looked_at_later(field, &wrong) {
                        continue;
                    }
                    let mut other = message.clone();
                    other[field.name] = wrong;
                    same(&other, schemas.fault(&other).as_deref(), &read(&other));
                }
            }
            for id in others() {
                let mut other = message.clone();
                other["id"] = id;
                same(&other, schemas.fault(&other).as_deref(), &read(&other));
            }
        }
    }
}

/// Of a field that is not described nothing is read, whatever else it may be a field of.
// covers A13-06
#[test]
fn nothing_that_is_not_described_is_read() {
    let schemas = Schemas::of_clients();
    let known = keys_of_the_code();
    assert!(known.len() > 20, "{known:?}");
    for entry in &CLIENT {
        for message in taken(&schemas, entry) {
            let as_it_is = read(&message);
            let described: BTreeSet<&str> =
                entry.shape.fields.iter().map(|field| field.name).collect();
            let others_of = known
                .iter()
                .filter(|name| !described.contains(name.as_str()));
            for name in others_of {
                for value in others() {
                    let mut more = message.clone();
                    more[name.as_str()] = value;
                    let read = read(&more);
                    assert!(
                        read == as_it_is,
                        "`{}` with `{name}` is read as {read:?}, without as {as_it_is:?}: {}",
                        entry.name,
                        advice()
                    );
                    assert!(schemas.fault(&more).is_some(), "{more}");
                }
            }
        }
    }
}

/// Every key that the code knows, `type` and `id` aside, is described for some message.
// covers A13-06
#[test]
fn every_key_of_the_code_is_described() {
    let fields = CLIENT.iter().flat_map(|entry| entry.shape.fields);
    let described: BTreeSet<String> = fields.map(|field| field.name.to_owned()).collect();
    assert_eq!(
        keys_of_the_code(),
        described,
        "left: json/decode, right: {}",
        advice()
    );
}

fn keys_of_the_code() -> BTreeSet<String> {
    let lines = DECODE.iter().flat_map(|code| code.lines());
    let keys = lines.filter_map(|line| {
        let (key, slot) = line.trim().strip_prefix('"')?.split_once("\" => ")?;
        slot.starts_with("&mut self.").then(|| key.to_owned())
    });
    keys.filter(|key| key != "type" && key != "id").collect()
}

/// What the server makes of a message: what it has understood, or why it refuses.
fn read(message: &Value) -> Result<String, String> {
    let text = message.to_string();
    let limits = JsonLimits::from(&Limits::default());
    match decode(&text, &limits, &|_| false) {
        Ok(request) => Ok(format!("{:?}", request.message)),
        Err(rejected) => Err(rejected.to_string()),
    }
}

#[track_caller]
fn same(message: &Value, fault: Option<&str>, read: &Result<String, String>) {
    assert!(
        fault.is_none() == read.is_ok(),
        "{message} is {}, and the server reads it as {read:?}: {}",
        fault.map_or_else(
            || "as described".to_owned(),
            |fault| format!("not as described {fault}")
        ),
        advice()
    );
    if let Err(refusal) = read {
        let code = ErrorCode::BadMessage.as_str();
        assert!(refusal.starts_with(code), "{message}: {refusal}");
    }
}

/// Whether what is wrong with a value is found out when the message is carried out, or is none.
fn is_looked_at_later(field: &Field, wrong: &Value) -> bool {
    match field.sort {
        // An optional field that is `null` is absent.
        _ if wrong.is_null() && field.is_optional => true,
        // A client that cannot be is not there.
        Sort::Formatted(Format::ClientId) if field.name == "to" => wrong.is_string(),
        // Each has an outcome of its own.
        Sort::Messages => wrong.as_array().is_some_and(|items| !items.is_empty()),
        // What is too large for a limit is as good as none, and `serde_json` knows no larger ones than `u64`.
        Sort::Whole(most) => wrong.as_u64().is_some_and(|number| number > most),
        // Over a limit.
        Sort::Scalar => wrong
            .as_str()
            .is_some_and(|text| text.len() > MAX_TIMESTAMP_BYTES),
        _ => false,
    }
}

/// One value of each kind, and such as are nearly right somewhere.
fn others() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("base64"),
        json!("BASE64"),
        json!("QUI="),
        json!("QUJ="),
        json!("QUI"),
        json!("00000000000000ff"),
        json!("00000000000000FF"),
        json!("client_AAAAAAAAAAAAAAAAAAAAAAA"),
        json!("AAAAAAAAAAAAAAAAAAAAAB"),
        json!(format!("sha256:{}", "0".repeat(64))),
        json!(format!("sha256:{}", "A".repeat(64))),
        json!([]),
        json!([1]),
        json!({}),
        json!({"type": "ping"}),
    ]
}

fn optional(entry: &Entry) -> impl Iterator<Item = &'static Field> {
    entry.shape.fields.iter().filter(|field| field.is_optional)
}

/// With each choice of its optional fields, whether or not they go together.
fn with_any_optional_fields(entry: &Entry) -> Vec<Value> {
    let optional: Vec<&Field> = optional(entry).collect();
    let choices = 0..1_u32 << optional.len();
    let message = |choice: u32| {
        let mut fields = sample_fields(&entry.shape, &|field| {
            let index = optional.iter().position(|other| other.name == field.name);
            index.is_none_or(|index| choice >> index & 1 == 1)
        });
        fields.insert("type".to_owned(), entry.name.into());
        Value::Object(fields)
    };
    choices.map(message).collect()
}

/// Those of them that are as described.
fn taken(schemas: &Schemas, entry: &Entry) -> Vec<Value> {
    let mut all = with_any_optional_fields(entry);
    all.retain(|message| schemas.fault(message).is_none());
    assert!(!all.is_empty(), "{}", entry.name);
    all
}

fn sample_fields(shape: &Shape, is_there: &impl Fn(&Field) -> bool) -> Map<String, Value> {
    let fields = shape.fields.iter().filter(|field| is_there(field));
    fields
        .map(|field| (field.name.to_owned(), sample(&field.sort)))
        .collect()
}

fn sample(sort: &Sort) -> Value {
    match *sort {
        // Bytes, if there is `encoding`.
        Sort::Any => json!("QUI="),
        Sort::Scalar => json!(1.5),
        Sort::Object => json!({"a": null}),
        Sort::Text | Sort::Name => json!("tea"),
        Sort::Formatted(format) => json!(match format {
            Format::ClientId => "client_AAAAAAAAAAAAAAAAAAAAAAAB",
            Format::Epoch => "00000000000000ff",
            Format::SessionSecret => "AAECAwQFBgcICQoLDA0ODw",
            Format::FileHash =>
                "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            Format::Base64 => "QUI=",
        }),
        Sort::Flag | Sort::True => json!(true),
        Sort::Whole(_) | Sort::Positive(_) => json!(7),
        Sort::Exactly(number) => json!(number),
        Sort::CloseCode => json!(1000),
        Sort::ErrorCode => json!(ErrorCode::Internal.as_str()),
        Sort::OneOf(texts) => json!(texts[0]),
        Sort::ListOf(item) => json!([sample(item)]),
        Sort::Record(shape) => Value::Object(sample_fields(shape, &|_| true)),
        Sort::OrNull(inner) => sample(inner),
        Sort::ByClient(inner) => json!({"client_AAAAAAAAAAAAAAAAAAAAAAAB": sample(inner)}),
        Sort::Messages => json!([{"type": "ping"}]),
    }
}

/// What the server says is no request, unless it has the name of one.
#[test]
fn what_the_server_says_is_none_of_these() {
    for entry in SERVER {
        let is_request = CLIENT.iter().any(|request| request.name == entry.name);
        let read = read(&json!({"type": entry.name}));
        let is_unknown = matches!(&read, Err(refusal) if refusal.starts_with("unknown_type"));
        assert!(
            is_unknown != is_request,
            "{} is read as {read:?}: {}",
            entry.name,
            advice()
        );
    }
}

// covers A13-06
#[test]
fn every_request_of_the_code_is_described() {
    let mut known = variants(MESSAGES, "ClientMessage");
    known.retain(|name| name != "File" && name != "Application");
    let files = variants(FILES, "FileRequest");
    let files = files.iter().map(|name| format!("file{}", snake_case(name)));
    let known = known.iter().map(|name| snake_case(name)[1..].to_owned());
    let known: BTreeSet<String> = known.chain(files).collect();
    let described: BTreeSet<String> = CLIENT.iter().map(|entry| entry.name.to_owned()).collect();
    assert_eq!(known, described, "left: message.rs, right: {}", advice());
}

/// `_room_message` of `RoomMessage`.
fn snake_case(name: &str) -> String {
    let letters = name.chars().flat_map(|letter| {
        let begins = letter.is_ascii_uppercase().then_some('_');
        begins.into_iter().chain([letter.to_ascii_lowercase()])
    });
    letters.collect()
}
