//! The registry as JSON Schema, draft 2020-12.
//!
//! What clients send is closed: a field that is not described is a mistake, which the server would skip. What the server
//! says is open, as PROTOCOL.md has it: fields may be added within a version. The tests close that, too.

use roomwire_core::ErrorCode;
use roomwire_core::dialect::json::registry::{
    CLIENT, Entry, Field, Format, Rule, SERVER, Shape, Side, Sort, is_outcome,
};

use super::ordered::Json;
use super::type_name;

/// The whole file.
pub fn schema() -> String {
    let root = Json::object([
        (
            "$schema",
            Json::text("https://json-schema.org/draft/2020-12/schema"),
        ),
        ("$id", Json::text("urn:roomwire:protocol:1")),
        (
            "title",
            Json::text("The messages of roomwire in JSON, version 1 of the protocol"),
        ),
        ("description", Json::text(ABOUT)),
        (
            "anyOf",
            Json::List(
                [SERVER_MESSAGE, CLIENT_MESSAGE, APPLICATION]
                    .map(reference)
                    .into(),
            ),
        ),
        ("$defs", definitions()),
    ]);
    root.pretty(0) + "\n"
}

const ABOUT: &str = "A client takes what validates against #/$defs/ServerMessage, and sends what validates against #/$defs/ClientMessage; an application's own messages validate against #/$defs/ApplicationMessage. The server also takes null for an optional field, and skips fields that are not described. Made of roomwire_core::dialect::json::registry: not to be edited.";

const SERVER_MESSAGE: &str = "ServerMessage";
const CLIENT_MESSAGE: &str = "ClientMessage";
const APPLICATION: &str = "ApplicationMessage";

fn definitions() -> Json {
    let mut all = vec![
        (SERVER_MESSAGE.to_owned(), any_of(&SERVER)),
        (CLIENT_MESSAGE.to_owned(), any_of(&CLIENT)),
        (APPLICATION.to_owned(), application()),
        (
            "Id".to_owned(),
            Json::object([
                (
                    "description",
                    Json::text("Of a request, and of its outcome."),
                ),
                ("type", Json::texts(["string", "number"])),
            ]),
        ),
        (
            "ErrorCode".to_owned(),
            Json::object([("enum", Json::texts(ErrorCode::ALL.map(ErrorCode::as_str)))]),
        ),
        (
            "CloseCode".to_owned(),
            Json::object([
                ("type", Json::text("integer")),
                ("minimum", Json::number(1000)),
                ("maximum", Json::number(4999)),
            ]),
        ),
    ];
    all.extend(FORMATS.map(|format| {
        let pattern = Json::text(format.pattern());
        let schema = Json::object([("type", Json::text("string")), ("pattern", pattern)]);
        (format_name(format), schema)
    }));
    all.extend(
        SERVER
            .iter()
            .chain(&CLIENT)
            .map(|entry| (type_name(entry), message(entry))),
    );
    Json::Object(all)
}

const FORMATS: [Format; 5] = [
    Format::ClientId,
    Format::Epoch,
    Format::SessionSecret,
    Format::FileHash,
    Format::Base64,
];

fn format_name(format: Format) -> String {
    format!("{format:?}")
}

fn any_of(entries: &[Entry]) -> Json {
    let names = entries.iter().map(|entry| reference(&type_name(entry)));
    Json::object([("oneOf", Json::List(names.collect()))])
}

/// What has a `type` that is none of the protocol's.
fn application() -> Json {
    let later = ["authenticate", "authenticated", "gap"];
    let all = SERVER.iter().chain(&CLIENT).map(|entry| entry.name);
    let mut reserved: Vec<&str> = all
        .chain(later)
        .filter(|name| !name.starts_with("file_"))
        .collect();
    reserved.sort_unstable();
    reserved.dedup();
    let none_of = Json::List(vec![
        Json::object([("enum", Json::texts(reserved))]),
        Json::object([("pattern", Json::text("^file_"))]),
    ]);
    let kind = Json::object([
        ("type", Json::text("string")),
        ("not", Json::object([("anyOf", none_of)])),
    ]);
    Json::object([
        (
            "description",
            Json::text("A message of the program around the server, or for it."),
        ),
        ("type", Json::text("object")),
        ("required", Json::texts(["type"])),
        (
            "properties",
            Json::object([("type", kind), ("id", reference("Id"))]),
        ),
    ])
}

fn message(entry: &Entry) -> Json {
    let is_request = entry.from == Side::Client;
    let mut properties = vec![(
        "type".to_owned(),
        Json::object([("const", Json::text(entry.name))]),
    )];
    if is_request || is_outcome(entry.name) {
        properties.push(("id".to_owned(), reference("Id")));
    }
    let batched = if is_request {
        CLIENT_MESSAGE
    } else {
        SERVER_MESSAGE
    };
    let schema = object(&entry.shape, properties, vec!["type"], batched);
    let schema = if is_request {
        schema.with("additionalProperties", Json::Raw("false".to_owned()))
    } else {
        schema
    };
    match schema {
        Json::Object(mut fields) => {
            fields.insert(0, ("description".to_owned(), Json::text(entry.about)));
            Json::Object(fields)
        }
        other => other,
    }
}

fn object(
    shape: &Shape,
    mut properties: Vec<(String, Json)>,
    mut required: Vec<&str>,
    batched: &str,
) -> Json {
    for Field {
        name,
        sort,
        is_optional,
        about,
    } in shape.fields
    {
        let schema = value(sort, batched).with("description", Json::text(about));
        properties.push(((*name).to_owned(), schema));
        if !is_optional {
            required.push(name);
        }
    }
    let schema = Json::object([
        ("type", Json::text("object")),
        ("required", Json::texts(required)),
        ("properties", Json::Object(properties)),
    ]);
    if shape.rules.is_empty() {
        return schema;
    }
    schema.with("allOf", Json::List(shape.rules.iter().map(rule).collect()))
}

fn rule(rule: &Rule) -> Json {
    let has = |name: &str| Json::object([("required", Json::texts([name]))]);
    match *rule {
        Rule::Either(a, b) => Json::object([("oneOf", Json::List(vec![has(a), has(b)]))]),
        Rule::NotBoth(a, b) => {
            Json::object([("not", Json::object([("required", Json::texts([a, b]))]))])
        }
        Rule::Needs(a, b) => {
            Json::object([("dependentRequired", Json::object([(a, Json::texts([b]))]))])
        }
        Rule::EncodedData => {
            let data = Json::object([("data", reference(&format_name(Format::Base64)))]);
            Json::object([
                ("if", has("encoding")),
                ("then", Json::object([("properties", data)])),
            ])
        }
    }
}

/// `batched` is what stands in a batch.
fn value(sort: &Sort, batched: &str) -> Json {
    let of_type = |name: &str| Json::object([("type", Json::text(name))]);
    match *sort {
        Sort::Any => Json::Object(Vec::new()),
        Sort::Scalar => {
            Json::object([("type", Json::texts(["string", "number", "boolean", "null"]))])
        }
        Sort::Object => of_type("object"),
        Sort::Text => of_type("string"),
        Sort::Name => of_type("string").with("minLength", Json::number(1)),
        Sort::Formatted(format) => reference(&format_name(format)),
        Sort::Flag => of_type("boolean"),
        Sort::True => Json::object([("const", Json::Raw("true".to_owned()))]),
        Sort::Whole(most) => of_type("integer")
            .with("minimum", Json::number(0))
            .with("maximum", Json::number(most)),
        Sort::Positive(most) => of_type("integer")
            .with("minimum", Json::number(1))
            .with("maximum", Json::number(most)),
        Sort::Exactly(number) => Json::object([("const", Json::number(number))]),
        Sort::CloseCode => reference("CloseCode"),
        Sort::ErrorCode => reference("ErrorCode"),
        Sort::OneOf(texts) => Json::object([("enum", Json::texts(texts.iter().copied()))]),
        Sort::ListOf(item) => of_type("array").with("items", value(item, batched)),
        Sort::Record(shape) => object(shape, Vec::new(), Vec::new(), batched),
        Sort::OrNull(inner) => {
            let choices = vec![value(inner, batched), of_type("null")];
            Json::object([("anyOf", Json::List(choices))])
        }
        Sort::ByClient(inner) => of_type("object")
            .with("propertyNames", reference(&format_name(Format::ClientId)))
            .with("additionalProperties", value(inner, batched)),
        Sort::Messages => {
            let choices = Json::List(vec![reference(batched), reference(APPLICATION)]);
            let batch = Json::object([("type", Json::object([("const", Json::text("batch"))]))]);
            let item = Json::object([
                ("anyOf", choices),
                ("not", Json::object([("properties", batch)])),
            ]);
            of_type("array")
                .with("minItems", Json::number(1))
                .with("items", item)
        }
    }
}

fn reference(name: &str) -> Json {
    Json::object([("$ref", Json::text(&format!("#/$defs/{name}")))])
}
