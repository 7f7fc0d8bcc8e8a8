//! Tests of metadata.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::super::object::tests::any_value;
use super::*;

const LIMITS: MetadataLimits = MetadataLimits {
    max_bytes: 4_096,
    max_keys: 32,
};

#[track_caller]
fn merged(patches: &[&str]) -> String {
    let mut metadata = Metadata::default();
    for patch in patches {
        metadata.merge(patch, &LIMITS).expect(patch);
    }
    metadata.as_json().to_owned()
}

// covers A1-07
#[test]
fn a_merge_is_shallow_and_keeps_order_and_bytes() {
    let table: [(&[&str], &str); 13] = [
        (&[], "{}"),
        (&["{}"], "{}"),
        (
            &[" { \"a\" : { \"b\" : 1.50 } } "],
            r#"{"a":{ "b" : 1.50 }}"#,
        ),
        (
            &[r#"{"a":{"x":1}}"#, r#"{"a":{"y":2}}"#],
            r#"{"a":{"y":2}}"#,
        ),
        (
            &[r#"{"a":1,"b":2,"c":3}"#, r#"{"d":4,"b":5}"#],
            r#"{"a":1,"b":5,"c":3,"d":4}"#,
        ),
        (
            &[r#"{"a":1,"b":2,"c":3}"#, r#"{"b":null}"#],
            r#"{"a":1,"c":3}"#,
        ),
        (&[r#"{"a":1}"#, r#"{"a":null,"zz":null}"#], "{}"),
        (&[r#"{"a":{"x":null}}"#], r#"{"a":{"x":null}}"#),
        (&[r#"{"a":1,"b":2,"a":3}"#], r#"{"a":3,"b":2}"#),
        (&[r#"{"a":1}"#, r#"{"\u0061":2}"#], r#"{"a":2}"#),
        (
            &[r#"{"\u0022\n\u00e9":1}"#, r#"{"\"\u000aé":2}"#],
            r#"{"\"\né":2}"#,
        ),
        (
            &[r#"{"":1,"__proto__":2,"constructor":3}"#, r#"{"":null}"#],
            r#"{"__proto__":2,"constructor":3}"#,
        ),
        (&[r#"{"a":"\ud800"}"#], r#"{"a":"\ud800"}"#),
    ];
    for (patches, expected) in table {
        assert_eq!(merged(patches), expected);
    }
}

#[track_caller]
fn refused(patch: &str, limits: &MetadataLimits, code: ErrorCode) {
    let mut metadata = Metadata::default();
    metadata.merge(r#"{"a":1}"#, &LIMITS).expect("valid");
    let before = metadata.clone();
    let refusal = metadata.merge(patch, limits).expect_err(patch);
    assert_eq!(refusal.code, code, "{patch}");
    assert_eq!(metadata, before);
}

#[test]
fn limits_are_inclusive_and_a_refused_patch_changes_nothing() {
    let limits = MetadataLimits {
        max_bytes: 20,
        max_keys: 2,
    };
    let mut metadata = Metadata::default();
    metadata
        .merge(r#"{"a":1234567,"b":123}"#, &limits)
        .expect_err("21 bytes");
    metadata
        .merge(r#"{"a":1234567,"b":12}"#, &limits)
        .expect("20 bytes");
    assert_eq!(metadata.as_json().len(), 20);
    refused(r#"{"b":1,"c":1}"#, &limits, ErrorCode::TooLarge);
    refused(r#"{"a":123456789012345}"#, &limits, ErrorCode::TooLarge);
    metadata
        .merge(r#"{"a":null,"b":null,"c":1,"d":1}"#, &limits)
        .expect("every key replaced by another");
    assert_eq!(metadata.as_json(), r#"{"c":1,"d":1}"#);
    refused(
        r#"{"x":null,"x":null,"x":null,"x":null,"x":null}"#,
        &limits,
        ErrorCode::TooLarge,
    );
}

#[test]
fn what_is_no_patch_is_refused() {
    for patch in [
        "",
        "null",
        "[]",
        "\"ab\"",
        "{",
        "{\"b\":1}}",
        r#"{"b":1,"\ud800":1}"#,
    ] {
        refused(patch, &LIMITS, ErrorCode::BadMessage);
    }
}

#[test]
fn no_metadata_owns_no_memory() {
    let mut metadata = Metadata::default();
    metadata.merge(r#"{"a":1}"#, &LIMITS).expect("valid");
    assert!(!metadata.is_empty());
    metadata.merge(r#"{"a":null}"#, &LIMITS).expect("valid");
    assert!(metadata.is_empty());
    assert_eq!((metadata.as_json(), metadata.json.len()), ("{}", 0));
}

proptest! {
    #[test]
    fn merging_agrees_with_a_map(
        patches in prop::collection::vec(
            prop::collection::vec(("[a-d\"\\\\é]{0,1}", any_value()), 0..6), 0..6),
        max_keys in 0_usize..8,
        max_bytes in 0_usize..120,
    ) {
        let limits = MetadataLimits { max_bytes, max_keys };
        let (mut metadata, mut model) = (Metadata::default(), Map::new());
        for fields in patches {
            let patch: Map<String, Value> = fields.into_iter().collect();
            let mut next = model.clone();
            for (key, value) in &patch {
                if value.is_null() {
                    next.remove(key);
                } else {
                    next.insert(key.clone(), value.clone());
                }
            }
            let bytes = serde_json::to_string(&next).unwrap().len();
            let fits = patch.len() <= 2 * max_keys
                && (next.is_empty() || (next.len() <= max_keys && bytes <= max_bytes));
            let outcome = metadata.merge(&serde_json::to_string(&patch).unwrap(), &limits);
            prop_assert_eq!(outcome.is_ok(), fits);
            if fits {
                model = next;
            }
            let tree: Value = serde_json::from_str(metadata.as_json()).unwrap();
            prop_assert_eq!(tree, Value::Object(model.clone()));
        }
    }
}
