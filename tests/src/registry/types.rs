//! The registry as types of TypeScript.

use roomwire_core::ErrorCode;
use roomwire_core::dialect::json::registry::{
    CLIENT, CLOSE_CODES, Entry, Field, Rule, SERVER, Shape, Side, Sort, is_outcome,
};

use super::type_name;

/// All that stands between the lines that mark it.
pub fn types() -> String {
    let codes = CLOSE_CODES.map(|code| code.to_string());
    let errors = ErrorCode::ALL.map(|code| format!("'{code}'"));
    let mut out = format!(
        "\n/** Any value that JSON has. */\nexport type JsonValue = {{}} | null;\n\n\
         /** The server's own close codes; 3000 to 4999 are else a program's. */\n\
         export type CloseCode ={};\n\n\
         /** Why a request was refused: the closed list of `error`. */\nexport type ErrorCode ={};\n",
        union(&codes),
        union(&errors),
    );
    for entry in SERVER.iter().chain(&CLIENT) {
        out += &message(entry);
    }
    out += &map(
        "What the server says, by its `type`.",
        "ServerMessages",
        &SERVER,
        type_name,
    );
    out += "\n/** What the server says. Fields and types may be added: skip those that you do not know. */\n\
            export type ServerMessage = ServerMessages[keyof ServerMessages];\n";
    out += &map(
        "What a client sends, by its `type`.",
        "ClientMessages",
        &CLIENT,
        type_name,
    );
    out += "\n/** What a client sends. */\nexport type ClientMessage = ClientMessages[keyof ClientMessages];\n";
    let answer = |entry: &Entry| {
        let answer = entry.answer.map(|answer| format!("'{answer}'"));
        answer.unwrap_or_else(|| "never".to_owned())
    };
    out += &map(
        "The `type` of the outcome of each request that was carried out.",
        "Answers",
        &CLIENT,
        answer,
    );
    out + "\n"
}

fn union(parts: &[String]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| format!("\n  | {part}")).collect();
    parts.concat()
}

fn map(about: &str, name: &str, entries: &[Entry], value: impl Fn(&Entry) -> String) -> String {
    let lines = entries
        .iter()
        .map(|entry| format!("  {}: {};\n", entry.name, value(entry)));
    format!(
        "\n/** {about} */\nexport interface {name} {{\n{}}}\n",
        lines.collect::<String>()
    )
}

fn message(entry: &Entry) -> String {
    let is_request = entry.from == Side::Client;
    let name = type_name(entry);
    let mut fields = format!("  type: '{}';\n", entry.name);
    if is_request {
        fields += "  /** The outcome has the same. */\n  id?: string | number;\n";
    } else if is_outcome(entry.name) {
        fields += "  /** That of the request whose outcome this is. */\n  id?: string | number;\n";
    }
    fields += &self::fields(&entry.shape, is_request, 2);
    let rules: String = entry
        .shape
        .rules
        .iter()
        .filter_map(|rule| {
            self::rule(rule, &entry.shape, is_request).map(|rule| format!(" &\n  ({rule})"))
        })
        .collect();
    let about = entry.about;
    if rules.is_empty() {
        format!("\n/** {about} */\nexport interface {name} {{\n{fields}}}\n")
    } else {
        format!("\n/** {about} */\nexport type {name} = {{\n{fields}}}{rules};\n")
    }
}

fn fields(shape: &Shape, is_request: bool, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let line = |field: &Field| {
        let mark = if field.is_optional { "?" } else { "" };
        let value = value(&field.sort, is_request, indent);
        format!(
            "{pad}/** {} */\n{pad}{}{mark}: {value};\n",
            field.about, field.name
        )
    };
    shape.fields.iter().map(line).collect()
}

/// What holds between fields, as something that the object is, too.
fn rule(rule: &Rule, shape: &Shape, is_request: bool) -> Option<String> {
    let there = |name: &str| {
        let mut fields = shape.fields.iter();
        let field = fields.find(|field| field.name == name).expect(name);
        format!("{name}: {}", value(&field.sort, is_request, 2))
    };
    Some(match *rule {
        Rule::Either(a, b) => {
            format!(
                "{{ {}; {b}?: undefined }} | {{ {a}?: undefined; {} }}",
                there(a),
                there(b)
            )
        }
        Rule::NotBoth(a, b) => format!("{{ {a}?: undefined }} | {{ {b}?: undefined }}"),
        Rule::Needs(a, b) => format!("{{ {}; {} }} | {{ {a}?: undefined }}", there(a), there(b)),
        // Whoever reads finds out by `encoding`.
        Rule::EncodedData if !is_request => return None,
        Rule::EncodedData => {
            "{ encoding: 'base64'; data: string } | { encoding?: undefined }".to_owned()
        }
    })
}

fn value(sort: &Sort, is_request: bool, indent: usize) -> String {
    let any = if is_request { "JsonValue" } else { "any" };
    match *sort {
        Sort::Any => any.to_owned(),
        Sort::Scalar => "string | number | boolean | null".to_owned(),
        Sort::Object => format!("{{ [key: string]: {any} }}"),
        Sort::Text | Sort::Name | Sort::Formatted(_) => "string".to_owned(),
        Sort::Flag => "boolean".to_owned(),
        Sort::True => "true".to_owned(),
        Sort::Whole(_) | Sort::Positive(_) => "number".to_owned(),
        Sort::Exactly(number) => number.to_string(),
        Sort::CloseCode => "CloseCode | (number & {})".to_owned(),
        Sort::ErrorCode => "ErrorCode".to_owned(),
        Sort::OneOf(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
            texts.join(" | ")
        }
        Sort::ListOf(item) => format!("{}[]", value(item, is_request, indent)),
        Sort::Record(shape) => {
            let fields = fields(shape, is_request, indent + 2);
            format!("{{\n{fields}{}}}", " ".repeat(indent))
        }
        Sort::OrNull(inner) => format!("{} | null", value(inner, is_request, indent)),
        Sort::ByClient(inner) => {
            format!(
                "{{ [clientId: string]: {} }}",
                value(inner, is_request, indent)
            )
        }
        Sort::Messages if is_request => {
            "(Exclude<ClientMessage, { type: 'batch' }> | Message)[]".to_owned()
        }
        Sort::Messages => "(Exclude<ServerMessage, { type: 'batch' }> | Message)[]".to_owned(),
    }
}
