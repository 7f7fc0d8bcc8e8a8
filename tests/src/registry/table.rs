//! The registry as a table of PROTOCOL.md.

use roomwire_core::dialect::json::registry::{CLIENT, Entry, Field, SERVER, Shape, Side, Sort};

/// Its rows, with the line under their head.
pub fn table() -> String {
    let rows = CLIENT.iter().chain(&SERVER).map(row);
    "| --- | --- | --- | --- |\n".to_owned() + &rows.collect::<Vec<_>>().join("\n")
}

fn row(entry: &Entry) -> String {
    let from = match entry.from {
        Side::Client => "client",
        Side::Server => "server",
    };
    let fields = fields(&entry.shape);
    let fields = if fields.is_empty() {
        fields
    } else {
        format!("`{fields}`")
    };
    let answer = entry
        .answer
        .map_or(String::new(), |answer| format!("`{answer}`"));
    format!("| `{}` | {from} | {fields} | {answer} |", entry.name)
}

fn fields(shape: &Shape) -> String {
    let field = |field: &Field| {
        let text = format!("{} {}", sort(&field.sort), field.name);
        if field.is_optional {
            format!("[{text}]")
        } else {
            text
        }
    };
    shape
        .fields
        .iter()
        .map(field)
        .collect::<Vec<_>>()
        .join(", ")
}

fn sort(sort: &Sort) -> String {
    match sort {
        Sort::Any => "any".to_owned(),
        Sort::Scalar => "scalar".to_owned(),
        Sort::Object => "object".to_owned(),
        Sort::Text | Sort::Name | Sort::Formatted(_) | Sort::OneOf(_) | Sort::ErrorCode => {
            "string".to_owned()
        }
        Sort::Flag | Sort::True => "boolean".to_owned(),
        Sort::Whole(_) | Sort::Positive(_) | Sort::Exactly(_) | Sort::CloseCode => {
            "number".to_owned()
        }
        Sort::ListOf(item) => format!("array of {}", self::sort(item)),
        Sort::Record(shape) => format!("{{{}}}", fields(shape)),
        Sort::OrNull(inner) => format!("null or {}", self::sort(inner)),
        Sort::ByClient(inner) => format!("object of {}", self::sort(inner)),
        Sort::Messages => "array".to_owned(),
    }
}
