//! Programs as text: a line per step, and an indented line per request.
//!
//! Values: `"text"`, `x00ff` a buffer, `f300` one of 300 bytes, `null`, `i5`, `l5`, `true`, `z-3` the last zxid seen less 3,
//! `r00ff` bytes without a length, `{ op values ; op values }` the operations of a multi.

use super::{Form, Hello, Password, Program, Request, Seen, Step, Value};
use anyhow::{Context, Result, bail};
use std::fmt;
use std::iter::Peekable;
use std::slice::Iter;
use wire::OpCode;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Connect { slot, hello, .. } => writeln!(f, "connect {slot} {hello}")?,
            Step::Burst { slot, .. } => writeln!(f, "burst {slot}")?,
            Step::Last { slot, .. } => writeln!(f, "last {slot}")?,
            Step::Drop { slot } => writeln!(f, "drop {slot}")?,
            Step::Garbage { slot, bytes } => writeln!(f, "garbage {slot} x{}", hex(bytes))?,
            Step::Stray { bytes } => writeln!(f, "stray x{}", hex(bytes))?,
            Step::Word { word } => writeln!(f, "word {word}")?,
            Step::Restart { kill: true } => writeln!(f, "restart kill")?,
            Step::Restart { kill: false } => writeln!(f, "restart graceful")?,
        }
        self.requests().iter().try_for_each(|request| writeln!(f, "  {request}"))
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = if self.again { "again" } else { "new" };
        let (password, seen, form) = (self.password.text(), self.seen.text(), self.form.text());
        write!(f, "{session} timeout={} password={password} seen={seen} ", self.timeout_ms)?;
        write!(f, "form={form}")
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.opcode() {
            Some(op) => f.write_str(op.name())?,
            None => write!(f, "op={}", self.op)?,
        }
        if let Some(xid) = self.xid {
            write!(f, " @{xid}")?;
        }
        for value in &self.values {
            write!(f, " {value}")?;
        }
        if self.cut > 0 { write!(f, " cut={}", self.cut) } else { Ok(()) }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Bytes(bytes) => write!(f, "x{}", hex(bytes)),
            Value::Filled(size) => write!(f, "f{size}"),
            Value::Null => f.write_str("null"),
            Value::Int(n) => write!(f, "i{n}"),
            Value::Long(n) => write!(f, "l{n}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Zxid(offset) => write!(f, "z{offset}"),
            Value::Raw(bytes) => write!(f, "r{}", hex(bytes)),
            Value::Operations(operations) => {
                f.write_str("{")?;
                for (i, operation) in operations.iter().enumerate() {
                    write!(f, "{}{operation}", if i == 0 { " " } else { " ; " })?;
                }
                f.write_str(" }")
            }
        }
    }
}

/// Bytes as pairs of hexadecimal digits.
#[must_use]
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) fn parse(text: &str) -> Result<Program> {
    let mut program = Program::default();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let outcome = if line.starts_with(' ') {
            let requests = program.steps.last_mut().and_then(Step::requests_mut);
            match requests {
                Some(requests) => parse_request(line).map(|request| requests.push(request)),
                None => Err(anyhow::anyhow!("a request needs a step that sends")),
            }
        } else {
            parse_step(line).map(|step| program.steps.push(step))
        };
        outcome.with_context(|| format!("line {}: {line}", number + 1))?;
    }
    Ok(program)
}

fn parse_step(line: &str) -> Result<Step> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let slot = || -> Result<usize> { Ok(words.get(1).context("no client")?.parse()?) };
    let requests = Vec::new();
    Ok(match words[0] {
        "connect" => Step::Connect { slot: slot()?, hello: parse_hello(&words[2..])?, requests },
        "burst" => Step::Burst { slot: slot()?, requests },
        "last" => Step::Last { slot: slot()?, requests },
        "drop" => Step::Drop { slot: slot()? },
        "garbage" => Step::Garbage { slot: slot()?, bytes: bytes(words.get(2))? },
        "stray" => Step::Stray { bytes: bytes(words.get(1))? },
        "word" => Step::Word { word: (*words.get(1).context("no word")?).to_owned() },
        "restart" => Step::Restart { kill: words.get(1) == Some(&"kill") },
        other => bail!("{other} is no step"),
    })
}

fn bytes(word: Option<&&str>) -> Result<Vec<u8>> {
    unhex(word.and_then(|w| w.strip_prefix('x')).context("no bytes")?)
}

fn parse_hello(words: &[&str]) -> Result<Hello> {
    let mut hello = Hello::new_session();
    for word in words {
        match word.split_once('=') {
            None => hello.again = *word == "again",
            Some(("timeout", n)) => hello.timeout_ms = n.parse()?,
            Some(("password", w)) => hello.password = named(Password::ALL, Password::text, w)?,
            Some(("seen", w)) => hello.seen = named(Seen::ALL, Seen::text, w)?,
            Some(("form", w)) => hello.form = named(Form::ALL, Form::text, w)?,
            Some((key, _)) => bail!("{key} is no field of a connect request"),
        }
    }
    Ok(hello)
}

fn named<T: Copy>(all: &[T], text: fn(T) -> &'static str, word: &str) -> Result<T> {
    all.iter().copied().find(|v| text(*v) == word).with_context(|| format!("{word} is unknown"))
}

fn parse_request(line: &str) -> Result<Request> {
    let tokens = tokens(line)?;
    let mut tokens = tokens.iter().peekable();
    let request = read_request(&mut tokens)?;
    anyhow::ensure!(tokens.next().is_none(), "more than one request");
    Ok(request)
}

fn read_request(tokens: &mut Peekable<Iter<'_, String>>) -> Result<Request> {
    let name = tokens.next().context("no operation")?;
    let op = match name.strip_prefix("op=") {
        Some(number) => number.parse()?,
        None => OpCode::ALL
            .iter()
            .find(|op| op.name() == name)
            .with_context(|| format!("{name} is no operation"))?
            .number(),
    };
    let mut request = Request { op, xid: None, values: Vec::new(), cut: 0 };
    while let Some(token) = tokens.next_if(|t| *t != ";" && *t != "}") {
        if let Some(xid) = token.strip_prefix('@') {
            request.xid = Some(xid.parse()?);
        } else if let Some(cut) = token.strip_prefix("cut=") {
            request.cut = cut.parse()?;
        } else if token == "{" {
            request.values.push(Value::Operations(read_operations(tokens)?));
        } else {
            request.values.push(parse_value(token)?);
        }
    }
    Ok(request)
}

fn read_operations(tokens: &mut Peekable<Iter<'_, String>>) -> Result<Vec<Request>> {
    let mut operations = Vec::new();
    while tokens.next_if(|t| *t == "}").is_none() {
        operations.push(read_request(tokens)?);
        if tokens.next_if(|t| *t == ";").is_none() {
            anyhow::ensure!(tokens.peek().is_some_and(|t| *t == "}"), "an open brace");
        }
    }
    Ok(operations)
}

fn parse_value(token: &str) -> Result<Value> {
    if let Some(text) = token.strip_prefix('"') {
        return Ok(Value::Text(unescaped(text.strip_suffix('"').context("an open quote")?)?));
    }
    let rest = token.get(1..).context("an empty value")?;
    Ok(match token {
        "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if token.starts_with('x') => Value::Bytes(unhex(rest)?),
        _ if token.starts_with('f') => Value::Filled(rest.parse()?),
        _ if token.starts_with('r') => Value::Raw(unhex(rest)?),
        _ if token.starts_with('i') => Value::Int(rest.parse()?),
        _ if token.starts_with('l') => Value::Long(rest.parse()?),
        _ if token.starts_with('z') => Value::Zxid(rest.parse()?),
        _ => bail!("{token} is no value"),
    })
}

/// Splits at blanks outside of quotes. Quoted tokens keep their quotes.
fn tokens(line: &str) -> Result<Vec<String>> {
    let mut tokens = Vec::new();
    let mut token = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in line.chars() {
        if c.is_ascii_whitespace() && !quoted {
            if !token.is_empty() {
                tokens.push(std::mem::take(&mut token));
            }
            continue;
        }
        token.push(c);
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
    }
    anyhow::ensure!(!quoted, "an open quote");
    if !token.is_empty() {
        tokens.push(token);
    }
    Ok(tokens)
}

/// Undoes what Rust's `Debug` does to a string.
fn unescaped(text: &str) -> Result<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next().context("a lone backslash")? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '0' => '\0',
            'u' => {
                let digits: String =
                    chars.by_ref().skip_while(|c| *c == '{').take_while(|c| *c != '}').collect();
                char::from_u32(u32::from_str_radix(&digits, 16)?).context("no character")?
            }
            other => other,
        });
    }
    Ok(out)
}

fn unhex(digits: &str) -> Result<Vec<u8>> {
    anyhow::ensure!(digits.is_ascii() && digits.len().is_multiple_of(2), "half a byte");
    (0..digits.len()).step_by(2).map(|i| Ok(u8::from_str_radix(&digits[i..i + 2], 16)?)).collect()
}
