//! Instruction counts of the hot paths against the baseline that the repository holds.
//!
//! `crates/counts` is built as the product is and run under callgrind, one batch a process; what is
//! counted inside its function `measured` is divided by the batch's operations. A batch that
//! differs from the baseline by more than [`TOLERANCE_PERCENT`] fails, in both directions: a
//! baseline that is too high would let the next change hide below it.

use crate::tree;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// How much a count may differ.
const TOLERANCE_PERCENT: f64 = 2.0;
const BASELINE: &str = "crates/counts/baseline.txt";

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let only: Vec<&str> = args.iter().copied().filter(|arg| *arg != "--update").collect();
    let is_update = only.len() < args.len();
    let counter = Counter::build()?;
    let batches = counter.batches()?;
    let names: Vec<&str> = batches.iter().map(|batch| &*batch.name).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(name)) {
        bail!("no such batch: {unknown}; there are: {}", names.join(", "));
    }
    let text = std::fs::read_to_string(BASELINE).unwrap_or_default(); // there may be none yet
    let old = Baseline::parse(&text)?;
    let mut new = Baseline { made_with: tools()?, counts: Vec::new() };
    let mut complaints = Vec::new();
    for batch in &batches {
        let before = old.find(&batch.name);
        if !only.is_empty() && !only.contains(&&*batch.name) {
            new.counts.extend(before.map(|count| (batch.name.clone(), count)));
            continue;
        }
        let count = counter.count(batch)?;
        let difference = before.map(|before| (count / before - 1.0) * 100.0);
        println!("{}", line(&batch.name, count, difference));
        complaints.extend(complaint(&batch.name, difference));
        new.counts.push((batch.name.clone(), count));
    }
    if is_update {
        std::fs::write(BASELINE, new.text())?;
        println!("counts: {BASELINE} is written");
        return Ok(());
    }
    let gone = old.counts.iter().filter(|(name, _)| !names.contains(&&**name));
    complaints.extend(gone.map(|(name, _)| format!("{name} is in the baseline and no batch")));
    settle(&complaints, &old.made_with, &new.made_with)
}

fn settle(complaints: &[String], made_with: &str, tools: &str) -> Result<()> {
    if made_with != tools {
        println!("counts: the baseline was made with {made_with}\ncounts: this is {tools}");
    }
    if complaints.is_empty() {
        println!("counts: all within {TOLERANCE_PERCENT} % of {BASELINE}");
        return Ok(());
    }
    complaints.iter().for_each(|complaint| eprintln!("counts: {complaint}"));
    if made_with != tools {
        eprintln!(
            "counts: with other tools counts differ by themselves; crates/counts/README.md says \
             how to compare all the same"
        );
    }
    bail!(
        "{} batches are not as the baseline says. `callgrind_annotate target/counts/NAME.out` \
         shows where the instructions are; `cargo xtask counts --update` writes the baseline, \
         and the commit says why",
        complaints.len()
    )
}

fn line(name: &str, count: f64, difference: Option<f64>) -> String {
    let difference = difference.map_or("new".to_owned(), |percent| format!("{percent:+.2} %"));
    format!("{name:<16}{count:>14.1}{difference:>12}")
}

fn complaint(name: &str, difference: Option<f64>) -> Option<String> {
    match difference {
        None => Some(format!("{name} is not in the baseline")),
        Some(percent) if percent > TOLERANCE_PERCENT => {
            Some(format!("{name} takes {percent:.2} % more instructions"))
        }
        Some(percent) if percent < -TOLERANCE_PERCENT => {
            Some(format!("{name} takes {:.2} % fewer instructions: lower the baseline", -percent))
        }
        Some(_) => None,
    }
}

/// The compiler and what else decides how many instructions the same source takes. The processor
/// itself is not seen: valgrind shows programs one of its own, of the newest kind that it can.
fn tools() -> Result<String> {
    let rustc = output(Command::new("rustc").arg("--version"))?;
    let valgrind = output(Command::new("valgrind").arg("--version"))?;
    let libc = output(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has_avx2 = cpuinfo.split_whitespace().any(|word| word == "avx2");
    let kind = if has_avx2 { " with avx2" } else { "" };
    let parts = [rustc.trim(), valgrind.trim(), libc.trim(), std::env::consts::ARCH];
    Ok(parts.join(", ") + kind)
}

/// The batches, built.
struct Counter {
    program: PathBuf,
    /// Where callgrind's files stay, for those who want to know more.
    folder: PathBuf,
}

struct Batch {
    name: String,
    operations: f64,
}

impl Counter {
    fn build() -> Result<Counter> {
        let status = Command::new("cargo")
            .args(["build", "--quiet", "--release", "--package", "quorate", "--package", "counts"])
            .status()?;
        if !status.success() {
            bail!("crates/counts does not build");
        }
        let target = std::path::absolute(tree::target())?;
        let folder = target.join("counts");
        std::fs::create_dir_all(&folder)?;
        Ok(Counter { program: target.join("release/counts"), folder })
    }

    fn batches(&self) -> Result<Vec<Batch>> {
        let list = output(Command::new(&self.program).arg("list"))?;
        let batch = |line: &str| {
            let (name, operations) = line.split_once(' ').context("a name and a number")?;
            Ok(Batch { name: name.to_owned(), operations: operations.parse()? })
        };
        list.lines().map(batch).collect()
    }

    /// Instructions for each operation. The environment is empty: it lies on the stack, and moves
    /// what lies below it.
    fn count(&self, batch: &Batch) -> Result<f64> {
        let file = self.folder.join(&batch.name).with_extension("out");
        output(
            Command::new("valgrind")
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
                .arg("--toggle-collect=counts::measured*")
                .arg(format!("--callgrind-out-file={}", file.display()))
                .arg(&self.program)
                .args(["run", &batch.name]),
        )?;
        let total = total(&tree::text(&file)?).with_context(|| file.display().to_string())?;
        Ok(total / batch.operations)
    }
}

/// The sum that a callgrind file ends with.
fn total(text: &str) -> Result<f64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals:"));
    let total: f64 = line.context("no totals")?.trim().parse()?;
    if total == 0.0 {
        bail!("nothing was counted: is there no function `measured` any more?");
    }
    Ok(total)
}

fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let run = command.output().with_context(|| format!("{name}: .ci/install installs it"))?;
    if !run.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&run.stderr).trim());
    }
    Ok(String::from_utf8(run.stdout)?)
}

/// What the repository says.
#[derive(Debug, Default, PartialEq)]
struct Baseline {
    made_with: String,
    counts: Vec<(String, f64)>,
}

impl Baseline {
    fn parse(text: &str) -> Result<Baseline> {
        let mut baseline = Baseline::default();
        for line in text.lines() {
            if let Some(made_with) = line.strip_prefix(MADE_WITH) {
                made_with.clone_into(&mut baseline.made_with);
            } else if !line.starts_with('#') {
                let (name, count) = line.split_once(' ').context("a name and a count")?;
                let count = count.trim().parse().with_context(|| line.to_owned())?;
                baseline.counts.push((name.to_owned(), count));
            }
        }
        Ok(baseline)
    }

    fn text(&self) -> String {
        let mut text = format!("{ABOUT}\n{MADE_WITH}{}\n", self.made_with);
        for (name, count) in &self.counts {
            text += &format!("{name:<16}{count:>14.1}\n");
        }
        text
    }

    fn find(&self, name: &str) -> Option<f64> {
        self.counts.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }
}

const ABOUT: &str =
    "# Instructions for each operation, as `cargo xtask counts --update` wrote them.";
const MADE_WITH: &str = "# made with: ";

#[cfg(test)]
mod tests {
    use super::{Baseline, complaint, settle, total};

    #[test]
    fn a_baseline_reads_back() {
        let counts = vec![("get".to_owned(), 2691.4), ("a-longer-name-than-most".to_owned(), 0.5)];
        let baseline = Baseline { made_with: "rustc 1, valgrind 2".to_owned(), counts };
        assert_eq!(Baseline::parse(&baseline.text()).unwrap(), baseline);
        assert_eq!((baseline.find("get"), baseline.find("set")), (Some(2691.4), None));
        assert!(Baseline::parse("get many\n").is_err());
        assert_eq!(Baseline::parse("").unwrap(), Baseline::default());
    }

    #[test]
    fn more_than_the_tolerance_is_refused_in_both_directions() {
        assert_eq!(complaint("get", Some(1.99)), None);
        assert_eq!(complaint("get", Some(-1.99)), None);
        assert!(complaint("get", Some(2.01)).unwrap().contains("more"));
        assert!(complaint("get", Some(-2.01)).unwrap().contains("lower the baseline"));
        assert!(complaint("get", None).unwrap().contains("not in the baseline"));
        assert!(settle(&[], "a", "b").is_ok());
        assert!(settle(&["get".to_owned()], "a", "a").is_err());
    }

    #[test]
    fn the_sum_of_a_file_is_found_and_never_zero() {
        assert_eq!(total("summary: 7\nfn=(1) x\n1 7\n\ntotals: 7\n").unwrap(), 7.0);
        assert!(total("totals: 0\n").is_err());
        assert!(total("fn=(1) x\n").is_err());
    }
}
