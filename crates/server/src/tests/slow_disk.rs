//! A disk that takes its time, or does not answer at all: who waits for it, and who does not.

use super::client::{Client, create, word};
use super::{NO_NODE, config, options};
use crate::{Options, Server};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use storage::simulated::{SimulatedDisk, SimulatedFile};
use storage::{Disk, DiskFile, Entry};
use wire::OpCode;

/// How syncs go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syncs {
    /// Each takes a while.
    Slow,
    /// None comes back.
    Hang,
}

#[derive(Debug)]
struct Gate {
    /// How syncs go, and how many hang.
    state: Mutex<(Syncs, usize)>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, syncs: Syncs) {
        self.state.lock().unwrap().0 = syncs;
        self.changed.notify_all();
    }

    fn wait_until_one_hangs(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |(_, hanging)| *hanging == 0).unwrap());
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        if state.0 == Syncs::Slow {
            drop(state);
            std::thread::sleep(SLOW); // this is what the disk is like
            return;
        }
        state.1 += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |(syncs, _)| *syncs == Syncs::Hang).unwrap();
        state.1 -= 1;
    }
}

#[derive(Clone)]
struct GatedDisk(SimulatedDisk, Arc<Gate>);

struct GatedFile(SimulatedFile, Arc<Gate>);

impl GatedDisk {
    fn new() -> GatedDisk {
        let state = Mutex::new((Syncs::Slow, 0));
        GatedDisk(SimulatedDisk::default(), Arc::new(Gate { state, changed: Condvar::new() }))
    }

    fn file(&self, file: io::Result<SimulatedFile>) -> io::Result<GatedFile> {
        Ok(GatedFile(file?, Arc::clone(&self.1)))
    }
}

impl Disk for GatedDisk {
    type File = GatedFile;

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.0.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> io::Result<GatedFile> {
        self.file(self.0.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<GatedFile> {
        self.file(self.0.open(path))
    }

    fn open_rw(&self, path: &Path) -> io::Result<GatedFile> {
        self.file(self.0.open_rw(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
}

impl DiskFile for GatedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.1.pass();
        self.0.sync_data()
    }

    fn another(&self) -> io::Result<GatedFile> {
        Ok(GatedFile(self.0.another()?, Arc::clone(&self.1)))
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

fn start() -> (Server, Arc<Gate>) {
    let disk = GatedDisk::new();
    let gate = Arc::clone(&disk.1);
    // Nothing is reserved ahead: what hangs is a commit.
    let config = config(Path::new("/data"), &[("preAllocSize", "0")]);
    let server = Server::start_on(disk, config, Options { workers: 1, ..options() }).unwrap();
    (server, gate)
}

#[test]
fn while_the_disk_hangs_reads_and_words_are_answered_by_the_same_worker() {
    let (server, gate) = start();
    let mut writer = Client::open(server.address());
    let mut reader = Client::open(server.address());
    assert_eq!(writer.create("/a", b"before"), 0);
    gate.set(Syncs::Hang);
    writer.send(OpCode::Create, |out| create("/b", b"").encode(out));
    gate.wait_until_one_hangs();
    assert_eq!(reader.get("/a", false), Ok(b"before".to_vec()));
    assert_eq!(reader.get("/b", false), Err(NO_NODE));
    assert!(word(server.address(), b"srvr").contains("Mode: standalone\n"));
    let mntr = word(server.address(), b"mntr");
    assert!(mntr.contains("zk_global_sessions\t2\n"), "{mntr}");
    gate.set(Syncs::Slow);
    assert_eq!(writer.answer().unwrap().header.err, 0);
    assert_eq!(reader.get("/b", false), Ok(Vec::new()));
    server.stop();
}

/// Long enough for workers to leave commits to the journalist.
const SLOW: Duration = Duration::from_millis(15);
