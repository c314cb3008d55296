//! Network namespaces for members, and what cuts them off from each other.
//!
//! Each member has a namespace with one cable to a router, which has a namespace of its own. The
//! router loses what one member sends to another for as long as that way is cut: in silence, as a
//! broken cable does, and in one direction if so asked. A cable can be narrow: what it is given
//! waits its turn, and is lost when too much waits. Needs root and iproute2.
//! Invariant: dropping a [`Network`] removes its namespaces; the next one removes what a process
//! left behind that was killed.

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A namespace, with one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    name: String,
    /// Its address, as all members know it.
    pub address: Ipv4Addr,
}

/// Namespaces by their index, and a router between them.
#[derive(Debug)]
pub struct Network {
    router: String,
    /// The members' namespaces.
    pub spaces: Vec<Space>,
    /// Ways that are cut: from whom to whom.
    cuts: BTreeSet<(usize, usize)>,
    /// Whose cables are narrow.
    narrow: BTreeSet<usize>,
}

/// What the names of all namespaces begin with.
const PREFIX: &str = "quorate-e2e-";
/// Where iproute2 keeps names.
const NAMES: &str = "/run/netns";
/// How many members a network may have: each has an address 10.77.n.2.
const MEMBERS_MAX: usize = 200;

impl Space {
    /// Moves the calling thread into the namespace, for as long as it lives.
    ///
    /// # Errors
    /// If it is gone.
    pub fn enter(&self) -> Result<()> {
        let path = Path::new(NAMES).join(&self.name);
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("cannot enter {}", self.name))
    }

    /// Does something on a thread in the namespace: what it connects or starts stays there.
    ///
    /// # Errors
    /// If the namespace is gone, or that of `work`.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let inside = || {
            self.enter()?;
            work()
        };
        let joined = thread::scope(|scope| scope.spawn(inside).join());
        joined.map_err(|_| anyhow::anyhow!("a thread in {} panicked", self.name))?
    }
}

impl Network {
    /// Namespaces for so many members, all within reach of each other.
    ///
    /// # Errors
    /// If this process may not make namespaces, or the system has no `ip`.
    pub fn new(members: usize) -> Result<Network> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        ensure!(members <= MEMBERS_MAX, "{members} members are too many");
        remove_orphans();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |what: &str| format!("{PREFIX}{}-{number}-{what}", process::id());
        let network = Network {
            router: name("router"),
            spaces: (0..members)
                .map(|n| Space { name: name(&(n + 1).to_string()), address: address(n, 2) })
                .collect(),
            cuts: BTreeSet::new(),
            narrow: BTreeSet::new(),
        };
        // From here on a failure removes what is there.
        ip(&["netns", "add", &network.router])?;
        network.forward()?;
        (0..members).try_for_each(|n| network.connect(n))?;
        Ok(network)
    }

    /// The router hands on what members send to each other.
    fn forward(&self) -> Result<()> {
        let router = Space { name: self.router.clone(), address: address(0, 1) };
        // The file shows the namespace of the thread that opens it.
        router.run(|| Ok(fs::write("/proc/sys/net/ipv4/ip_forward", "1")?))
    }

    fn connect(&self, n: usize) -> Result<()> {
        let (space, router) = (&self.spaces[n].name, &self.router);
        let (port, gate, inside) = (port(n), address(n, 1), self.spaces[n].address);
        ip(&["netns", "add", space])?;
        let cable = ["link", "add", "name", &port, "netns", router, "type", "veth"];
        ip(&[&cable[..], &["peer", "name", "eth0", "netns", space]].concat())?;
        ip(&["-n", router, "addr", "add", &format!("{gate}/30"), "dev", &port])?;
        ip(&["-n", router, "link", "set", &port, "up"])?;
        ip(&["-n", space, "addr", "add", &format!("{inside}/30"), "dev", "eth0"])?;
        ip(&["-n", space, "link", "set", "lo", "up"])?;
        ip(&["-n", space, "link", "set", "eth0", "up"])?;
        ip(&["-n", space, "route", "add", "default", "via", &gate.to_string()])
    }

    /// Cuts these ways, and mends all others.
    ///
    /// # Errors
    /// If the router does not take its rules.
    pub fn cut(&mut self, cuts: &BTreeSet<(usize, usize)>) -> Result<()> {
        for way in self.cuts.difference(cuts) {
            self.rule("del", *way)?;
        }
        for way in cuts.difference(&self.cuts) {
            self.rule("add", *way)?;
        }
        self.cuts.clone_from(cuts);
        Ok(())
    }

    /// Makes a member's cable narrow, both ways: much takes a fifth of a second through it, and what
    /// is more is lost.
    ///
    /// # Errors
    /// If the system has no token bucket filter.
    pub fn narrow(&mut self, n: usize) -> Result<()> {
        if self.narrow.insert(n) {
            for end in self.ends(n) {
                tc(
                    "add",
                    &end,
                    &["tbf", "rate", RATE, "burst", BURST_BYTES, "limit", WAITING_BYTES],
                )?;
            }
        }
        Ok(())
    }

    /// The namespace and the name of each end of a member's cable.
    fn ends(&self, n: usize) -> [(String, String); 2] {
        [(self.router.clone(), port(n)), (self.spaces[n].name.clone(), "eth0".to_owned())]
    }

    /// Mends all ways, and makes all cables wide.
    ///
    /// # Errors
    /// As for [`Network::cut`] and [`Network::narrow`].
    pub fn heal(&mut self) -> Result<()> {
        while let Some(n) = self.narrow.pop_first() {
            self.ends(n).iter().try_for_each(|end| tc("del", end, &[]))?;
        }
        self.cut(&BTreeSet::new())
    }

    fn rule(&self, verb: &str, (from, to): (usize, usize)) -> Result<()> {
        let to = self.spaces[to].address.to_string();
        let way = ["iif", &port(from), "to", &to, "blackhole"];
        ip(&[&["-n", &self.router, "rule", verb], &way[..]].concat())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.spaces.iter().map(|space| &space.name).chain([&self.router]) {
            if Path::new(NAMES).join(name).exists() {
                let _ = ip(&["netns", "del", name]);
            }
        }
    }
}

/// What goes through a narrow cable: 100 KB a second.
const RATE: &str = "800kbit";
/// What goes through at once, in bytes: more than the largest packet.
const BURST_BYTES: &str = "4000";
/// What may wait, in bytes: a fifth of a second.
const WAITING_BYTES: &str = "20000";

/// Changes what holds the packets back that leave by one end of a cable.
fn tc(verb: &str, (space, port): &(String, String), discipline: &[&str]) -> Result<()> {
    let words = ["-n", space, "qdisc", verb, "dev", port, "root"];
    tool("tc", &[&words[..], discipline].concat())
}

/// A member's end of its cable, or the router's.
fn address(n: usize, end: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, u8::try_from(n).unwrap_or(u8::MAX), end)
}

/// The router's end of a member's cable.
fn port(n: usize) -> String {
    format!("m{}", n + 1)
}

fn ip(arguments: &[&str]) -> Result<()> {
    tool("ip", arguments)
}

/// Runs a tool of iproute2.
fn tool(name: &str, arguments: &[&str]) -> Result<()> {
    let run = Command::new(name).args(arguments).output();
    let output = run.with_context(|| format!("{name} (iproute2)"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("{name} {}: {}", arguments.join(" "), message.trim());
    }
    Ok(())
}

/// Removes namespaces of processes that are gone, and ends the servers that they left in them.
fn remove_orphans() {
    let Ok(names) = fs::read_dir(NAMES) else { return };
    for name in names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let is_gone = owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if !is_gone {
            continue;
        }
        if let Ok(output) = Command::new("ip").args(["netns", "pids", &name]).output() {
            for pid in String::from_utf8_lossy(&output.stdout).split_whitespace() {
                let _ = Command::new("kill").args(["-KILL", pid]).status();
            }
        }
        let _ = ip(&["netns", "del", &name]);
    }
}
