//! Tests of raw access to JSON text.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Elements, Malformed, for_each_field, is_deeper_than, string};

fn fields(text: &str) -> Result<Vec<(&str, &str)>, Malformed> {
    let mut fields = Vec::new();
    for_each_field(text, |key, value| fields.push((key, value))).map(|()| fields)
}

#[test]
fn fields_come_raw_and_in_order() {
    let text = "\t\r\n {\"a\" : 1e999 ,\"\\ud800\":[ {\"a\":2} ],\"\":\"\\udfff\",\"a\":-0.0}\n";
    let expected = vec![
        ("\"a\"", "1e999"),
        ("\"\\ud800\"", "[ {\"a\":2} ]"),
        ("\"\"", "\"\\udfff\""),
        ("\"a\"", "-0.0"),
    ];
    assert_eq!(fields(text), Ok(expected));
    assert_eq!(fields("{ }"), Ok(Vec::new()));
}

// covers A1-12 A1-13
#[test]
fn text_without_fields_is_told_apart() {
    for text in [
        "null",
        "true",
        "0",
        "-1e999",
        "\"\\ud800\"",
        "[]",
        " [{}] ",
        "\"{\"",
    ] {
        assert_eq!(fields(text), Err(Malformed::NotAnObject), "{text}");
    }
    for text in [
        "",
        " ",
        "{",
        "}",
        "{}{}",
        "{}x",
        "nul",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{'a':1}",
        "\u{feff}{}",
        "\x0c{}",
        "[1",
        "1 2",
        "{\"a\n\":1}",
        "{\"a\":\"\t\"}",
        "{\"\\u12\":1}",
        "{\"a\":NaN}",
        "{\"a\":+1}",
        "{\"a\":\"\\x\"}",
    ] {
        assert_eq!(fields(text), Err(Malformed::NotJson), "{text:?}");
    }
}

#[test]
fn deep_text_is_walked_without_recursion() {
    let depth = 200_000;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(fields(&deep).map(|fields| fields.len()), Ok(1));
    assert_eq!(fields(&"[".repeat(depth)), Err(Malformed::NotJson));
    assert_eq!(fields(&"{\"a\":".repeat(depth)), Err(Malformed::NotJson));
}

#[test]
fn strings_are_unescaped() {
    assert_eq!(string("\"a\"").as_deref(), Some("a"));
    assert_eq!(string("\"\"").as_deref(), Some(""));
    assert_eq!(
        string(r#""\u0061\n\ud83d\ude00""#).as_deref(),
        Some("a\n😀")
    );
    for none in [r#""\ud800""#, "1", "null", "", "\"", "{}", "\"\\\""] {
        assert_eq!(string(none), None, "{none}");
    }
}

#[test]
fn the_depth_limit_is_inclusive_and_blind_to_strings() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(!is_deeper_than(&nested(64), 64));
    assert!(is_deeper_than(&nested(65), 64));
    assert!(!is_deeper_than("1", 0) && is_deeper_than("{}", 0));
    let wide = format!("[{}[]]", "[],".repeat(100));
    assert!(!is_deeper_than(&wide, 2) && is_deeper_than(&wide, 1));
    let quoted = format!(r#"{{"a\\\"[":"{}\"{{"}}"#, "[{".repeat(100));
    assert!(!is_deeper_than(&quoted, 1));
    assert!(is_deeper_than(&format!(r#"["\\",{}]"#, nested(64)), 64));
}

fn depth(value: &Value) -> u32 {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

pub(in crate::dialect) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[\\[\\]{}\"\\\\a-c\u{0}\u{7f}é😀]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[\\[{\"\\\\a-c]{0,3}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The elements of an array, as another parser finds them.
fn check_elements(array: &str) {
    let expected: Vec<&RawValue> = serde_json::from_str(array).expect("an array");
    let expected: Vec<_> = expected.iter().map(|value| value.get()).collect();
    let all = Elements::of(array).expect("an array");
    assert_eq!(all.clone().collect::<Vec<_>>(), expected, "{array}");
    // From wherever it is left.
    let mut elements = all;
    for at in 0..=expected.len() {
        let rest = &array[array.len() - elements.left()..];
        let rest: Vec<_> = Elements::rest(rest).collect();
        assert_eq!(rest, expected[at..], "{array}");
        elements.next();
    }
    assert_eq!(elements.next(), None);
}

#[test]
fn elements_come_raw_and_in_order() {
    for array in [
        "[]",
        "[ ]",
        "[1]",
        "[\n{\"a\":[1,2]} ,\t\"],[\" , [[],[]],-1e5,null\r\n]",
        r#"["\\",",","\"]",{"}":"{"}]"#,
    ] {
        check_elements(array);
    }
    for other in ["{}", "", "7", "\"[\""] {
        assert!(Elements::of(other).is_none());
    }
    // Whatever it is, it ends.
    for broken in ["[", "[,", "[}}]", "[1", "[\"", "[]]]", "[,,1]"] {
        assert!(Elements::of(broken).expect("a bracket").count() <= broken.len());
    }
}

proptest! {
    #[test]
    fn elements_agree_with_another_parser(values in prop::collection::vec(any_value(), 0..5), space in "[ \t\n]{0,2}") {
        let values: Vec<_> = values.iter().map(|value| format!("{space}{value}{space}")).collect();
        check_elements(&format!("[{}]", values.join(",")));
    }

    #[test]
    fn depth_agrees_with_a_tree(value in any_value(), max in 0_u32..8) {
        prop_assert_eq!(is_deeper_than(&value.to_string(), max), depth(&value) > max);
    }

    #[test]
    fn any_text_is_safe(text in "[\\[\\]{}\":,\\\\u0-9a-f \u{0}é😀]{0,40}", max in 0_u32..4) {
        let _ = fields(&text);
        let _ = string(&text);
        let _ = is_deeper_than(&text, max);
        let json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(fields(&text) != Err(Malformed::NotJson), json);
    }
}
