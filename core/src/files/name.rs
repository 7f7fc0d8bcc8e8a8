//! What a file is called, as people may be shown it.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// The last part of what may be a path of any system, without characters that control something: whoever stores a file
/// under this name in a folder stores it there. Never empty.
pub(crate) fn display_name(name: &str) -> Cow<'_, str> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: Cow<'_, str> = if last.contains(controls) {
        last.chars()
            .filter(|&char| !controls(char))
            .collect::<String>()
            .into()
    } else {
        last.into()
    };
    match shown.trim_matches(['.', ' ']) {
        "" => Cow::Borrowed("file"),
        trimmed if trimmed.len() == shown.len() => shown,
        _ => {
            // Dots in front hide a file, and at the end Windows drops them.
            shown.trim_matches(['.', ' ']).to_owned().into()
        }
    }
}

/// Control characters, and those that turn the direction of writing or are not seen.
const fn controls(char: char) -> bool {
    matches!(
        char,
        '\u{0}'..='\u{1F}'
            | '\u{7F}'..='\u{9F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}'
    )
}
