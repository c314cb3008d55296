//! Whether readers on different cores wait for each other.
//!
//! The server's test `readers` runs each of two readers, from socket to socket, on a thread of its
//! own and between two marks. valgrind's lackey tells every memory access; here they are sorted
//! by reader and line. A line that one reader writes and the other looks at would travel between
//! their cores with every read: there must be none. Lines are taken in pairs, as processors fetch
//! them. With `--scale` the same test measures: two readers against one, by the clock.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const TEST: &str = "readers_beside_each_other_are_all_answered";
const LINE_SHIFT: u32 = 7;
const MARK_SIZE: u64 = 128;
const READERS: usize = 2;
/// What a reader looks at, at the least; less, and the marks or the test are wrong.
const LINES_MIN: usize = 50;

pub(crate) fn run(args: &[&str]) -> Result<()> {
    match args {
        [] => lines(),
        ["--scale"] => scale(),
        _ => bail!("usage: cargo xtask readers [--scale]"),
    }
}

fn scale() -> Result<()> {
    let status = Command::new("cargo")
        .args(["test", "--quiet", "--release", "--package", "server", "--lib", TEST])
        .args(["--", "--nocapture"])
        .env("QUORATE_READERS", "scale")
        .status()?;
    if !status.success() {
        bail!("two readers did not show that they do clearly more than one");
    }
    Ok(())
}

fn lines() -> Result<()> {
    let mut child = Command::new("valgrind")
        .args(["--quiet", "--tool=lackey", "--trace-mem=yes"])
        .arg(server_tests()?)
        .args([TEST, "--nocapture"])
        .env("QUORATE_READERS", "lines")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().context("it was asked for")?);
    let mut trace = Trace::default();
    let mut line = Vec::new();
    while stderr.read_until(b'\n', &mut line)? > 0 {
        trace.take(&String::from_utf8_lossy(&line));
        line.clear();
    }
    if !child.wait()?.success() {
        bail!("the readers failed (.ci/install installs valgrind):\n{}", trace.others.join("\n"));
    }
    for reader in 0..READERS {
        let (written, seen) = trace.sizes(reader);
        println!("readers: reader {} writes {written} pairs of lines of {seen}", reader + 1);
        if written == 0 || seen < LINES_MIN {
            bail!("the readers were not seen at work");
        }
    }
    let shared = trace.shared();
    for shared in &shared {
        eprintln!("readers: {}", trace.tell(shared));
    }
    if !shared.is_empty() {
        bail!("{} pairs of lines are written by one reader and needed by another", shared.len());
    }
    println!("readers: nothing that one reader writes is looked at by another");
    Ok(())
}

/// The program of the server's own tests, built as all tests are: so it is there already.
fn server_tests() -> Result<String> {
    let output = Command::new("cargo")
        .args(["test", "--quiet", "--workspace", "--lib", "--no-run", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the tests do not build");
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let programs = messages.split("\"executable\":\"").skip(1);
    let mut programs = programs.filter_map(|rest| rest.split('"').next());
    let found = programs.find(|path| path.contains("/deps/server-"));
    Ok(found.context("the server has no tests")?.to_owned())
}

/// The first instruction that wrote, and the first that looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Touch {
    written: Option<u64>,
    seen: Option<u64>,
}

/// A line that one reader writes and another looks at, and where each does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shared {
    line: u64,
    written: u64,
    seen: u64,
}

#[derive(Debug, Default)]
struct Trace {
    /// Where the marks are; nothing counts before they are known.
    marks: Option<u64>,
    /// The program's file, and where it begins in memory.
    program: (String, u64),
    /// Whose turn it is.
    reader: Option<usize>,
    instruction: u64,
    touched: BTreeMap<u64, [Touch; READERS]>,
    /// What else was said, in case of a failure.
    others: Vec<String>,
}

impl Trace {
    fn take(&mut self, line: &str) {
        let line = line.trim_end_matches('\n');
        let (kind, access) = line.split_at_checked(3).unwrap_or_default();
        match kind {
            "I  " | " L " | " S " | " M " if self.marks.is_none() => {}
            "I  " => self.instruction = parse(access).0,
            " L " => self.access(access, false),
            " S " | " M " => self.access(access, true),
            _ => match line.strip_prefix("readers: ") {
                Some(told) => self.begin(told),
                None => self.others.push(line.to_owned()),
            },
        }
    }

    /// `marks at M program at P PATH`.
    fn begin(&mut self, told: &str) {
        let words: Vec<&str> = told.split(' ').collect();
        if let ["marks", "at", marks, "program", "at", at, path] = words[..] {
            self.marks = hex(marks);
            self.program = (path.to_owned(), hex(at).unwrap_or(0));
        }
    }

    fn access(&mut self, access: &str, is_write: bool) {
        let (address, size) = parse(access);
        let mark = address.wrapping_sub(self.marks.unwrap_or(0)) / MARK_SIZE;
        if is_write && mark <= READERS as u64 {
            self.reader = usize::try_from(mark).ok().and_then(|mark| mark.checked_sub(1));
            return;
        }
        let Some(reader) = self.reader else { return };
        for line in address >> LINE_SHIFT..=(address + size.max(1) - 1) >> LINE_SHIFT {
            let touch = &mut self.touched.entry(line).or_default()[reader];
            touch.seen.get_or_insert(self.instruction);
            if is_write {
                touch.written.get_or_insert(self.instruction);
            }
        }
    }

    fn sizes(&self, reader: usize) -> (usize, usize) {
        let touches = || self.touched.values().map(|touches| touches[reader]);
        let written = touches().filter(|touch| touch.written.is_some()).count();
        (written, touches().filter(|touch| touch.seen.is_some()).count())
    }

    /// Each line once, also if both readers write it.
    fn shared(&self) -> Vec<Shared> {
        let of_line = |(line, touches): (&u64, &[Touch; READERS])| {
            [(0, 1), (1, 0)].into_iter().find_map(|(one, other)| {
                let (written, seen) = (touches[one].written?, touches[other].seen?);
                Some(Shared { line: *line, written, seen })
            })
        };
        self.touched.iter().filter_map(of_line).collect()
    }

    fn tell(&self, shared: &Shared) -> String {
        let Shared { line, written, seen } = *shared;
        let address = line << LINE_SHIFT;
        let (written, seen) = (self.place(written), self.place(seen));
        format!(
            "{address:#x}: one reader writes it\n  in {written},\n  another needs it\n  in {seen}"
        )
    }

    /// An instruction's place in the sources, innermost function first, if binutils are there.
    fn place(&self, instruction: u64) -> String {
        let (path, begin) = &self.program;
        let address = format!("{:#x}", instruction.wrapping_sub(*begin));
        let named = Command::new("addr2line").args(["-Cfipse", path, &address]).output();
        let named = named.map(|named| String::from_utf8_lossy(&named.stdout).trim().to_owned());
        let named = named.unwrap_or_default().replace('\n', "\n  ");
        if named.is_empty() { address } else { named }
    }
}

/// `ADDRESS,SIZE`, the address in hexadecimal digits.
fn parse(access: &str) -> (u64, u64) {
    let (address, size) = access.split_once(',').unwrap_or((access, "0"));
    (u64::from_str_radix(address, 16).unwrap_or(0), size.trim().parse().unwrap_or(0))
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{Shared, Trace};

    /// The marks are at 0x1000; `first` is what reader 1 does, `second` what reader 2.
    fn trace(first: &[&str], second: &[&str]) -> Trace {
        let mut trace = Trace::default();
        trace.take("readers: marks at 0x1000 program at 0x400000 /no/such/file\n");
        for line in [" S 9000,8", " S 1080,8", "I  400010,4"].iter().chain(first) {
            trace.take(line);
        }
        for line in [" S 1000,8", " S 9000,8", " S 1100,8", "I  400020,4"].iter().chain(second) {
            trace.take(line);
        }
        for line in [" S 1000,8", " S 9000,8"] {
            trace.take(line);
        }
        trace
    }

    #[test]
    fn lines_of_one_reader_and_lines_that_nobody_writes_are_fine() {
        let trace = trace(&[" S 8000,8", " L 7000,8"], &[" M 8080,8", " L 7000,8"]);
        assert_eq!(trace.shared(), []);
        assert_eq!((trace.sizes(0), trace.sizes(1)), ((1, 2), (1, 2)));
    }

    #[test]
    fn a_line_that_one_writes_and_another_looks_at_is_found() {
        let shared = Shared { line: 0x8000 >> 7, written: 0x40_0010, seen: 0x40_0020 };
        assert_eq!(trace(&[" S 8000,8"], &[" L 8078,4"]).shared(), [shared]);
        let back = Shared { written: 0x40_0020, seen: 0x40_0010, ..shared };
        assert_eq!(trace(&[" L 8000,1"], &[" M 7ffc,8"]).shared(), [back]);
        assert_eq!(trace(&[" M 8000,8"], &[" M 8000,8"]).shared(), [shared]);
    }

    #[test]
    fn only_what_lies_between_marks_counts() {
        let trace = trace(&[], &[]);
        assert_eq!((trace.sizes(0), trace.sizes(1)), ((0, 0), (0, 0)));
        assert!(trace.others.is_empty());
    }
}
