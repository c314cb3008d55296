//! Turns the text of a value into what its kind says, or says what is wrong and what is allowed.
//!
//! Pure and total: any text gives a value or a [`Wrong`], and nothing depends on other keys.

use std::time::Duration;

use crate::keys::{Fallback, Key, Kind, Spelling, Unit};

/// A value in the type of its kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Ratio(f64),
    Bool(bool),
    Interval(Duration),
    Text(String),
}

/// Why a text is no value of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) wrong: String,
    pub(crate) allowed: String,
}

/// A value, and what the operator should know about how it was read.
pub(crate) struct Parsed {
    pub(crate) value: Value,
    pub(crate) note: Option<&'static str>,
}

/// Reads `text` as a value of `key`.
pub(crate) fn parse(key: &Key, text: &str) -> Result<Parsed, Wrong> {
    let wrong = |wrong: String| Wrong { wrong, allowed: key.kind.describe() };
    let plain = |value| Ok(Parsed { value, note: None });
    match key.kind {
        Kind::Int { min, max, unit } => {
            let number = parse_int(key.spelling, text);
            let number = number.ok_or_else(|| wrong(not_whole(unit)))?;
            if !(min..=max).contains(&number) {
                return Err(wrong("out of range".to_owned()));
            }
            plain(Value::Int(number))
        }
        Kind::Ratio => match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => plain(Value::Ratio(ratio)),
            Ok(_) => Err(wrong("out of range".to_owned())),
            Err(_) => Err(wrong("not a decimal number".to_owned())),
        },
        Kind::Decimal => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => plain(Value::Ratio(number)),
            Ok(_) | Err(_) => Err(wrong("not a decimal number".to_owned())),
        },
        Kind::StrictBool => match text.to_ascii_lowercase().as_str() {
            "true" => plain(Value::Bool(true)),
            "false" => plain(Value::Bool(false)),
            _ => Err(wrong("neither true nor false".to_owned())),
        },
        Kind::LenientBool => Ok(lenient_bool(text)),
        Kind::YesNo => Ok(yes_no(key.fallback, text)),
        Kind::Interval => parse_interval(text).map_or_else(
            || Err(wrong("not a length of time".to_owned())),
            |interval| plain(Value::Interval(interval)),
        ),
        Kind::Choice(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
            Some(word) => plain(Value::Text((*word).to_owned())),
            None => Err(wrong("not one of the known words".to_owned())),
        },
        Kind::Path if text.is_empty() => Err(wrong("the path is empty".to_owned())),
        Kind::Path if text.contains('\0') => Err(wrong("the path has a zero byte".to_owned())),
        Kind::Address if !is_address(text) => Err(wrong("not an address".to_owned())),
        Kind::Path | Kind::Address | Kind::Csv | Kind::Text | Kind::Secret | Kind::Member => {
            plain(Value::Text(text.to_owned()))
        }
    }
}

/// The value as it may be shown: short, on one line, and nothing of a secret.
pub(crate) fn shown(kind: Kind, text: &str) -> String {
    if kind == Kind::Secret {
        return "***".to_owned();
    }
    let mut shown: String = text.chars().take(SHOWN_MAX_CHARS).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Longer values are cut in messages, so that a log line stays a line.
const SHOWN_MAX_CHARS: usize = 80;

fn not_whole(unit: Unit) -> String {
    match unit {
        Unit::Port => "not a port number".to_owned(),
        Unit::Count => "not a whole number".to_owned(),
        Unit::Milliseconds | Unit::Seconds | Unit::Bytes | Unit::Kibibytes | Unit::Ticks => {
            format!("not a whole number of {}", unit.describe())
        }
    }
}

/// Properties follow Java's `decode`, where `0x` is hex. Its octal for a leading zero is not taken:
/// nobody who writes 010 means 8.
fn parse_int(spelling: Spelling, text: &str) -> Option<i64> {
    if spelling == Spelling::Own {
        return text.parse().ok();
    }
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let hex = digits.strip_prefix("0x").or(digits.strip_prefix("0X")).or(digits.strip_prefix('#'));
    let (digits, radix) = hex.map_or((digits, 10), |hex| (hex, 16));
    let ambiguous = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    if ambiguous || !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

fn lenient_bool(text: &str) -> Parsed {
    let value = text.eq_ignore_ascii_case("true");
    let doubtful = !value && !text.eq_ignore_ascii_case("false");
    let note = doubtful.then_some("read as false, for only true is true");
    Parsed { value: Value::Bool(value), note }
}

fn yes_no(fallback: Fallback, text: &str) -> Parsed {
    let otherwise = fallback == Fallback::Is("yes");
    let (value, note) = match (text, otherwise) {
        ("yes", _) => (true, None),
        ("no", _) => (false, None),
        (_, true) => (true, Some("read as yes, for only no is no")),
        (_, false) => (false, Some("read as no, for only yes is yes")),
    };
    Parsed { value: Value::Bool(value), note }
}

fn parse_interval(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms: i64 = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "" | "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let ms = digits.trim_end().parse::<i64>().ok()?.checked_mul(unit_ms)?;
    Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

fn is_address(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%' | '[' | ']'))
}
