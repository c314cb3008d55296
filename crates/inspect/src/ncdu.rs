//! The export format of `ncdu`: nested arrays, a directory being an array that its own entry opens.
//!
//! Written as the nodes come, in pre-order; only the path of the last node is remembered.
//! Source: "Ncdu Export File Format", version 1.0, of its author's site.

use anyhow::Result;
use serde_json::json;
use std::io::Write;

/// A file under way.
pub(crate) struct Ncdu<'a> {
    out: &'a mut dyn Write,
    /// The node that came last, not written yet: whether it has children is told by the next.
    held: Option<(String, usize)>,
    /// Open arrays, by their paths.
    open: Vec<String>,
    /// How many were written.
    count: u64,
}

/// Where the reference begins to count.
const FIRST_INODE: u64 = 1001;

impl<'a> Ncdu<'a> {
    pub(crate) fn begin(out: &'a mut dyn Write) -> Result<Ncdu<'a>> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let timestamp = now.unwrap_or_default().as_secs();
        let version = env!("CARGO_PKG_VERSION");
        let meta = json!({"progname": "quorate", "progver": version, "timestamp": timestamp});
        write!(out, "[1,0,{meta}")?;
        Ok(Ncdu { out, held: None, open: Vec::new(), count: 0 })
    }

    /// The next node, the root by the empty path, and the size of its data in bytes.
    pub(crate) fn node(&mut self, path: &str, size: usize) -> Result<()> {
        self.write_held(Some(path))?;
        self.held = Some((path.to_owned(), size));
        Ok(())
    }

    pub(crate) fn end(mut self) -> Result<()> {
        self.write_held(None)?;
        writeln!(self.out, "{}]", "]".repeat(self.open.len()))?;
        Ok(())
    }

    fn write_held(&mut self, next: Option<&str>) -> Result<()> {
        let Some((path, size)) = self.held.take() else { return Ok(()) };
        let has_children = next.is_some_and(|next| is_below(next, &path));
        let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("/");
        let inode = FIRST_INODE + self.count;
        self.count += 1;
        let entry = json!({"name": name, "asize": size, "dsize": size, "dev": 0, "ino": inode});
        write!(self.out, ",{}{entry}", if has_children { "[" } else { "" })?;
        if has_children {
            self.open.push(path);
        }
        while next.is_some() && self.open.last().is_some_and(|at| !is_below_some(next, at)) {
            self.open.pop();
            write!(self.out, "]")?;
        }
        Ok(())
    }
}

fn is_below_some(path: Option<&str>, ancestor: &str) -> bool {
    path.is_some_and(|path| is_below(path, ancestor))
}

fn is_below(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with('/'))
}
