//! Ports that a server can have again after it was down.
//!
//! They lie above those that the system gives to outgoing connections. A process takes them from
//! blocks that it holds by a lock on a file, so that no other test, in whatever process, has the same.

use anyhow::{Context, Result, bail};
use std::env;
use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// The first port of the first block.
const FIRST_PORT: u16 = 61_000;
/// How many blocks there are, and how many ports each has.
const BLOCKS: u16 = 150;
const BLOCK_PORTS: u16 = 30;

/// Blocks of this process, with how many ports of the last one are given out.
#[derive(Debug)]
struct Held {
    /// A lock ends with its file.
    locks: Vec<(u16, File)>,
    used: u16,
}

/// A port that nobody else is given while this process lives, and nobody listened on a moment ago.
///
/// # Errors
/// If none is left.
pub(crate) fn lasting_port() -> Result<u16> {
    static HELD: Mutex<Held> = Mutex::new(Held { locks: Vec::new(), used: BLOCK_PORTS });
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if held.used == BLOCK_PORTS {
            held.take_block()?;
        }
        let block = held.locks.last().map_or(0, |(block, _)| *block);
        let port = FIRST_PORT + block * BLOCK_PORTS + held.used;
        held.used += 1;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return Ok(port);
        }
    }
}

impl Held {
    fn take_block(&mut self) -> Result<()> {
        let directory = env::temp_dir().join("quorate-e2e-ports");
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        for block in (0..BLOCKS).filter(|b| self.locks.iter().all(|(held, _)| held != b)) {
            let path = directory.join(block.to_string());
            let open = File::options().create(true).truncate(false).write(true).open(&path);
            let file = open.with_context(|| path.display().to_string())?;
            match file.try_lock() {
                Ok(()) => {
                    self.locks.push((block, file));
                    self.used = 0;
                    return Ok(());
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).context("a block's lock"),
            }
        }
        bail!("no block of ports is free")
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_PORTS, lasting_port};
    use std::collections::BTreeSet;

    #[test]
    fn no_port_is_given_twice() {
        let many = usize::from(BLOCK_PORTS) + 5;
        let ports: BTreeSet<u16> = (0..many).map(|_| lasting_port().unwrap()).collect();
        assert_eq!(ports.len(), many);
    }
}
