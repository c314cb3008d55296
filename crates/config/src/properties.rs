//! Java properties: a reader that keeps line numbers, and the writer of one entry.
//!
//! Understood: `#` and `!` comments, `=`, `:` or blanks after the key, continuation by a backslash
//! at the end of a line, `\t \n \r \f`, `\uXXXX` with surrogate pairs, `\` before anything else.
//! Valid UTF-8 is read as UTF-8, anything else as ISO-8859-1, so no byte is refused.
//! The reader never panics and needs memory in proportion to its input, which is limited.

use std::sync::Arc;

use crate::error::{At, Error};

/// The largest file that is read; a real `zoo.cfg` has a few KiB.
pub const FILE_SIZE_MAX_BYTES: usize = 1024 * 1024;

/// The most entries in one file; the largest known ensembles need some hundreds.
pub const ENTRIES_MAX: usize = 4096;

/// One `key=value` of a file, unescaped; blanks around both are gone, as in ZooKeeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value; empty if there is none.
    pub value: String,
    /// The line on which the entry begins, from 1.
    pub line: u32,
}

/// What a file says, and what in it cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The entries in the order of the file, repeated keys included.
    pub entries: Vec<Entry>,
    /// Every bad escape with its line, or the limit that is passed; empty if all could be read.
    pub errors: Vec<Error>,
}

/// Reads a file; `name` is how errors call it. What can be read is there beside the errors, so
/// that they can be reported with those of the values.
#[must_use]
pub fn read(name: &str, bytes: &[u8]) -> Properties {
    let source: Arc<str> = Arc::from(name);
    let fail = |line: Option<u32>, wrong: String, allowed: String| Error::Malformed {
        at: At { source: Arc::clone(&source), line },
        wrong,
        allowed,
    };
    if bytes.len() > FILE_SIZE_MAX_BYTES {
        let wrong = format!("the file has {} bytes", bytes.len());
        let error = fail(None, wrong, format!("at most {FILE_SIZE_MAX_BYTES} bytes"));
        return Properties { entries: Vec::new(), errors: vec![error] };
    }
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    for Logical { line, text, .. } in logical_lines(&decode(bytes)) {
        if entries.len() == ENTRIES_MAX {
            let wrong = "one entry too many".to_owned();
            errors.push(fail(Some(line), wrong, format!("at most {ENTRIES_MAX} entries")));
            break;
        }
        let (key, value) = split_entry(&text);
        match (unescape(key), unescape(value)) {
            (Ok(key), Ok(value)) => entries.push(Entry {
                key: trim(&key).to_owned(),
                value: trim(&value).to_owned(),
                line,
            }),
            (Err(wrong), _) | (_, Err(wrong)) => {
                let allowed = "\\u with 4 hex digits, or \\\\ for a backslash".to_owned();
                errors.push(fail(Some(line), wrong, allowed));
            }
        }
    }
    Properties { entries, errors }
}

/// Writes one entry as a line without its end; [`read`] gives back `key` and `value`, except for
/// blanks around them.
#[must_use]
pub fn write_entry(key: &str, value: &str) -> String {
    let mut line = String::with_capacity(key.len() + value.len() + 1);
    key.chars().for_each(|c| escape_into(&mut line, c, true));
    line.push('=');
    let mut leading = true;
    for c in value.chars() {
        leading &= is_blank(c);
        escape_into(&mut line, c, leading);
    }
    line
}

/// A file without the entries whose keys are to go; all else stays as it is, byte for byte.
#[must_use]
pub fn without(bytes: &[u8], goes: impl Fn(&str) -> bool) -> Vec<u8> {
    let text = decode(bytes);
    let mut gone = vec![false; natural_lines(&text).count() + 1];
    for Logical { line, lines, text } in logical_lines(&text) {
        if unescape(split_entry(&text).0).is_ok_and(|key| goes(trim(&key))) {
            let first = line as usize;
            gone[first..first + lines].fill(true);
        }
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    for gone in gone.into_iter().skip(1) {
        let ends = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let width = usize::from(ends.is_some_and(|end| rest[end..].starts_with(b"\r\n")));
        let (line, others) = rest.split_at(ends.map_or(rest.len(), |end| end + 1 + width));
        if !gone {
            kept.extend_from_slice(line);
        }
        rest = others;
    }
    kept
}

/// Ends the last line, so that what is appended is an entry of its own. A backslash at its end,
/// which would continue it, gets a blank line to continue with.
pub fn end_last_line(text: &mut Vec<u8>) {
    // Behind a lone CR it makes a CR LF of it, and still one end of one line.
    if !matches!(text.last(), None | Some(b'\n')) {
        text.push(b'\n');
    }
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let backslashes = line.iter().rev().take_while(|byte| **byte == b'\\').count();
    if backslashes % 2 == 1 {
        text.push(b'\n');
    }
}

fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// A line with those that continue it.
struct Logical {
    /// The number of the first of them, from 1.
    line: u32,
    /// How many they are.
    lines: usize,
    text: String,
}

/// Joins continued lines, and drops blank lines and comments.
fn logical_lines(text: &str) -> Vec<Logical> {
    let mut lines = Vec::new();
    let mut open: Option<Logical> = None;
    for (number, natural) in (1..).zip(natural_lines(text)) {
        let natural = natural.trim_start_matches(is_blank);
        if open.is_none() && (natural.is_empty() || natural.starts_with(['#', '!'])) {
            continue;
        }
        let backslashes = natural.len() - natural.trim_end_matches('\\').len();
        let continued = backslashes % 2 == 1;
        let part = if continued { &natural[..natural.len() - 1] } else { natural };
        let mut joined =
            open.take().unwrap_or(Logical { line: number, lines: 0, text: String::new() });
        joined.lines += 1;
        joined.text.push_str(part);
        if continued {
            open = Some(joined);
        } else {
            lines.push(joined);
        }
    }
    // A backslash at the end of the file continues with nothing.
    lines.extend(open);
    lines.retain(|joined| !joined.text.is_empty());
    lines
}

/// Splits at `\n`, `\r` and `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let Some(end) = current.find(['\n', '\r']) else {
            rest = None;
            return Some(current);
        };
        let width = if current[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&current[end + width..]);
        Some(&current[..end])
    })
}

/// The key ends at the first unescaped blank, `=` or `:`; one `=` or `:` may follow the blanks.
fn split_entry(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|&(_, c)| {
            let ends = !escaped && (is_blank(c) || matches!(c, '=' | ':'));
            escaped = c == '\\' && !escaped;
            ends
        })
        .map_or(line.len(), |(index, _)| index);
    let rest = line[end..].trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], value.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escaped) = rest.chars().next() else { break };
        rest = &rest[escaped.len_utf8()..];
        match escaped {
            't' => out.push('\t'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            'f' => out.push('\x0c'),
            'u' => out.push(unicode_escape(&mut rest)?),
            other => out.push(other),
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Reads what follows `\u`, and the second half if that was the first half of a pair.
fn unicode_escape(rest: &mut &str) -> Result<char, String> {
    let first = hex_unit(rest)?;
    let mut units = vec![first];
    if (0xd800..0xdc00).contains(&first)
        && let Some(mut after) = rest.strip_prefix("\\u")
    {
        units.push(hex_unit(&mut after)?);
        *rest = after;
    }
    match char::decode_utf16(units).next() {
        Some(Ok(c)) => Ok(c),
        _ => Err(format!("\\u{first:04x} is half of a surrogate pair")),
    }
}

fn hex_unit(rest: &mut &str) -> Result<u16, String> {
    let digits = rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let unit = unit.ok_or_else(|| "malformed \\uXXXX escape".to_owned())?;
    *rest = &rest[4..];
    Ok(unit)
}

/// Comment and separator signs are escaped everywhere, so that a reader need not know the place.
fn escape_into(line: &mut String, c: char, escape_space: bool) {
    match c {
        '\t' => line.push_str("\\t"),
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\x0c' => line.push_str("\\f"),
        ' ' if !escape_space => line.push(' '),
        ' ' | '=' | ':' | '#' | '!' | '\\' => line.extend(['\\', c]),
        ' '..='~' => line.push(c),
        other => {
            let mut units = [0; 2];
            for unit in other.encode_utf16(&mut units) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

/// Drops what Java's `trim` drops: blanks and control characters.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// What Java takes for white space inside a properties file.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

#[cfg(test)]
mod tests;
