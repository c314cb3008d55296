//! The rules of node paths.
//!
//! Source: the reference checks UTF-16 units; U+F000..U+F8FF lie in its private-use range, and
//! every character above U+FFFF is a pair of surrogates there, so all of those are refused.

/// Why a path is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It is empty.
    Empty,
    /// It does not start with a slash.
    NotAbsolute,
    /// It ends with a slash.
    TrailingSlash,
    /// A segment is empty, `.` or `..`.
    BadSegment,
    /// A character is not allowed.
    BadCharacter,
}

/// Checks the whole of a path.
///
/// # Errors
/// What is wrong with it.
pub fn validate(path: &str) -> Result<(), PathError> {
    if is_plain(path.as_bytes()) {
        return Ok(());
    }
    let Some(rest) = path.strip_prefix('/') else {
        return Err(if path.is_empty() { PathError::Empty } else { PathError::NotAbsolute });
    };
    if rest.is_empty() {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    if rest.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(PathError::BadSegment);
    }
    if rest.chars().all(is_allowed) { Ok(()) } else { Err(PathError::BadCharacter) }
}

/// The common case: printable ASCII, and no slash before a slash, a dot or the end. Whatever else
/// there is gets a closer look. Without a branch per byte, so that the compiler takes wide steps.
fn is_plain(path: &[u8]) -> bool {
    let Some((last, rest)) = path.split_last() else { return false };
    let outside = |byte: u8| u8::from(byte.wrapping_sub(0x20) >= 0x5f);
    let wrong = |byte: u8, next: u8| {
        u8::from(byte == b'/') & (u8::from(next == b'/') | u8::from(next == b'.'))
    };
    let mut flaws = u8::from(path[0] != b'/') | u8::from(*last == b'/') | outside(*last);
    for (byte, next) in rest.iter().zip(&path[1..]) {
        flaws |= outside(*byte) | wrong(*byte, *next);
    }
    flaws == 0
}

fn is_allowed(c: char) -> bool {
    !matches!(u32::from(c), 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..)
}

/// Splits at the last slash: the parent's path (empty for the root) and the node's name.
#[must_use]
pub fn parent_and_name(path: &str) -> Option<(&str, &str)> {
    // Names are short: this is through before a search for a character has begun.
    let slash = path.bytes().rposition(|byte| byte == b'/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

#[cfg(test)]
mod tests {
    use super::{PathError, validate};

    #[test]
    fn each_rule_has_its_error() {
        let check = |path: &str| validate(path).err();
        assert_eq!(check("/"), None);
        assert_eq!(check("/a./b"), None);
        assert_eq!(check("/..."), None);
        assert_eq!(check("/a b\u{f900}\u{ffef}"), None);
        assert_eq!(check(""), Some(PathError::Empty));
        assert_eq!(check("a"), Some(PathError::NotAbsolute));
        assert_eq!(check("/a/"), Some(PathError::TrailingSlash));
        assert_eq!(check("//"), Some(PathError::TrailingSlash));
        for path in ["/a//b", "/.", "/..", "/a/./b", "/a/../b", "/a/.."] {
            assert_eq!(check(path), Some(PathError::BadSegment), "{path}");
        }
        for c in [
            '\0',
            '\u{1}',
            '\u{1f}',
            '\u{7f}',
            '\u{9f}',
            '\u{e000}',
            '\u{f8ff}',
            '\u{fff0}',
            '\u{ffff}',
            '\u{10000}',
        ] {
            assert_eq!(check(&format!("/a{c}")), Some(PathError::BadCharacter), "{c:?}");
        }
    }
}
