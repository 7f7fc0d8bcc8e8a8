//! Which clients are meant, by what they call themselves.

use memchr::memmem;

#[cfg(test)]
mod tests;

/// Whether a `User-Agent` matches `pattern`, where `*` stands for any characters, also none. Everything else is
/// compared as it is. O(agent).
pub(crate) fn matches(pattern: &str, agent: &[u8]) -> bool {
    let mut parts = pattern.split('*').map(str::as_bytes);
    let Some(mut rest) = parts.next().and_then(|start| agent.strip_prefix(start)) else {
        return false;
    };
    let Some(end) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = memmem::find(rest, part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(end)
}
