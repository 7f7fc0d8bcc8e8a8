//! JSON that keeps the order of its fields, and is written so that people can read it.

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Json {
    /// As it is written.
    Raw(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    pub(super) fn text(text: &str) -> Self {
        Self::Raw(serde_json::Value::from(text).to_string())
    }

    pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    pub(super) fn number(number: u64) -> Self {
        Self::Raw(number.to_string())
    }

    pub(super) fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        let fields = fields.into_iter();
        Self::Object(fields.map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The same object with another field.
    pub(super) fn with(mut self, key: &str, value: Self) -> Self {
        if let Self::Object(fields) = &mut self {
            fields.push((key.to_owned(), value));
        }
        self
    }

    /// In one line where that is short enough.
    pub(super) fn pretty(&self, indent: usize) -> String {
        let line = self.line();
        if indent + line.len() <= LINE {
            return line;
        }
        let inner = indent + INDENT;
        let (open, close, items): (_, _, Vec<String>) = match self {
            Self::Raw(_) => return line,
            Self::List(items) => (
                '[',
                ']',
                items.iter().map(|item| item.pretty(inner)).collect(),
            ),
            Self::Object(fields) => {
                let field =
                    |(key, value): &(String, Self)| format!("\"{key}\": {}", value.pretty(inner));
                ('{', '}', fields.iter().map(field).collect())
            }
        };
        let pad = " ".repeat(inner);
        let items = items.join(&format!(",\n{pad}"));
        format!("{open}\n{pad}{items}\n{}{close}", " ".repeat(indent))
    }

    fn line(&self) -> String {
        match self {
            Self::Raw(raw) => raw.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::line).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Object(fields) => {
                let field = |(key, value): &(String, Self)| format!("\"{key}\": {}", value.line());
                let fields: Vec<String> = fields.iter().map(field).collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }
}

const LINE: usize = 110;
const INDENT: usize = 2;
