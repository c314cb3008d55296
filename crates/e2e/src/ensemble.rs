//! Ensembles of server processes: ours, the reference's, or some of each.
//!
//! A member is a directory, three ports and the kind of server that runs on them, which may change
//! while it is down. Nobody is asked who leads: a leader alone listens on its quorum port. Over Raft
//! all members do, and say themselves who they are.
//! Invariant: dropping an [`Ensemble`] kills its processes and removes its directory. What the
//! members logged is kept if the thread panics; the end of it is printed in tests, which show it
//! only if they fail.

mod logs;

use crate::listening::{listening_ports, serves};
use crate::network::Space;
use crate::ports::lasting_port;
use crate::raw;
use crate::servers::{Config, Kind};
use crate::signals::{signal, terminate, wait_until_stopped};
use crate::{unbegun, waking};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It votes.
    Participant,
    /// It follows, and is not counted.
    Observer,
}

/// What becomes of a member's process.
#[derive(Debug)]
enum Process {
    Down,
    Running(Child),
    /// SIGSTOP came.
    Paused(Child),
}

#[derive(Debug)]
struct Member {
    kind: Kind,
    /// Whether another kind of server than ours has written its files.
    was_foreign: bool,
    role: Role,
    /// Where it runs, if not beside all others.
    space: Option<Space>,
    /// Lines of its own in `zoo.cfg`.
    lines: Vec<String>,
    client_port: u16,
    quorum_port: u16,
    election_port: u16,
    process: Process,
}

/// Members by their index; the number of a member in `zoo.cfg` is one more.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<Member>,
    config: Config,
    directory: tempfile::TempDir,
}

/// How long an ensemble may take to serve: JVMs on a busy machine, and an election.
pub const SERVE_TIME_MAX: Duration = Duration::from_secs(60);
/// How often leaders are ended until the right one leads.
const HANDOVERS_MAX: usize = 10;
/// Between two looks at a port.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

impl Ensemble {
    /// Prepares members that vote, all of them down.
    ///
    /// # Errors
    /// If there are no directories or ports.
    pub fn new(kinds: &[Kind], config: Config) -> Result<Ensemble> {
        let roles: Vec<_> = kinds.iter().map(|kind| (kind.clone(), Role::Participant)).collect();
        Ensemble::with_roles(&roles, config)
    }

    /// Prepares members, all of them down.
    ///
    /// # Errors
    /// If there are no directories or ports.
    pub fn with_roles(members: &[(Kind, Role)], config: Config) -> Result<Ensemble> {
        Ensemble::prepare(members, config, &[])
    }

    /// Prepares members that vote, each in a namespace of its own, all of them down.
    ///
    /// # Errors
    /// If there are no directories or ports.
    pub fn in_spaces(kinds: &[Kind], config: Config, spaces: &[Space]) -> Result<Ensemble> {
        ensure!(kinds.len() == spaces.len(), "{} spaces for {}", spaces.len(), kinds.len());
        let roles: Vec<_> = kinds.iter().map(|kind| (kind.clone(), Role::Participant)).collect();
        Ensemble::prepare(&roles, config, spaces)
    }

    fn prepare(members: &[(Kind, Role)], config: Config, spaces: &[Space]) -> Result<Ensemble> {
        let directory = tempfile::Builder::new().prefix("quorate-e2e-").tempdir()?;
        let mut ensemble = Ensemble { members: Vec::new(), config, directory };
        for (n, (kind, role)) in members.iter().enumerate() {
            ensemble.members.push(Member {
                kind: kind.clone(),
                was_foreign: !kind.is_ours(),
                role: *role,
                space: spaces.get(n).cloned(),
                lines: Vec::new(),
                client_port: lasting_port()?,
                quorum_port: lasting_port()?,
                election_port: lasting_port()?,
                process: Process::Down,
            });
        }
        for n in ensemble.indices() {
            fs::create_dir_all(ensemble.data_directory(n))?;
            fs::write(ensemble.data_directory(n).join("myid"), format!("{}\n", n + 1))?;
        }
        Ok(ensemble)
    }

    /// Gives these members a port for observers, the same for all: at most one of them may serve
    /// there, since all have one address.
    ///
    /// # Errors
    /// If there is no port.
    pub fn with_observer_master_port(mut self, members: &[usize]) -> Result<Ensemble> {
        let line = format!("observerMasterPort={}", lasting_port()?);
        members.iter().for_each(|n| self.members[*n].lines.push(line.clone()));
        Ok(self)
    }

    /// Starts all members that are down, and waits until all serve.
    ///
    /// # Errors
    /// If one does not.
    pub fn start_all(&mut self) -> Result<()> {
        for n in self.indices() {
            if !self.is_up(n) {
                self.start(n)?;
            }
        }
        self.wait_for_all()
    }

    /// As [`Ensemble::start_all`], but the last member that votes leads: no more than a quorum with
    /// it is there at the election, and of equal histories the largest number wins.
    ///
    /// # Errors
    /// If one does not serve.
    pub fn start_led_by_last_voter(&mut self) -> Result<()> {
        let votes = |n: &usize| self.members[*n].role == Role::Participant;
        let voters: Vec<usize> = self.indices().filter(votes).collect();
        let last = voters.last().context("nobody votes")?;
        if self.members[*last].kind == Kind::Raft {
            self.start_all()?;
            return self.hand_over_to(*last);
        }
        let others = voters.len() - 1 - voters.len() / 2;
        for n in voters.into_iter().skip(others) {
            self.start(n)?;
        }
        self.wait_for_all()?;
        self.start_all()
    }

    /// A member over Raft that ends hands over to the largest number of those that have all.
    fn hand_over_to(&mut self, n: usize) -> Result<()> {
        for _ in 0..HANDOVERS_MAX {
            let leader = self.wait_for_leader()?;
            if leader == n {
                return self.wait_for_all();
            }
            self.stop(leader)?;
            self.start(leader)?;
            self.wait_for_all()?;
        }
        bail!("member {} does not come to lead", n + 1)
    }

    /// Starts a member that is down, and does not wait.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn start(&mut self, n: usize) -> Result<()> {
        ensure!(!self.is_up(n), "member {} is up", n + 1);
        let path = self.directory.path().join(format!("{}.cfg", n + 1));
        fs::write(&path, self.file(n))?;
        let log = File::options().create(true).append(true).open(self.log_path(n))?;
        let kind = &self.members[n].kind;
        unbegun::remove_for(kind, &self.data_directory(n))?;
        waking::starts(self.address(n), kind);
        let mut command = kind.command()?;
        command.arg(&path).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let flags: String = self.config.properties.iter().map(|p| format!("-D{p} ")).collect();
        command.env("SERVER_JVMFLAGS", flags).env("REFERENCE_LOG", "info");
        let spawn = move || Ok(command.spawn()?);
        let child = self.inside(n, spawn).with_context(|| format!("cannot start {kind}"))?;
        self.members[n].process = Process::Running(child);
        Ok(())
    }

    /// Starts a member that is down as another kind of server, on its files.
    ///
    /// # Errors
    /// As for [`Ensemble::start`].
    pub fn start_as(&mut self, n: usize, kind: Kind) -> Result<()> {
        self.members[n].was_foreign |= !kind.is_ours();
        self.members[n].kind = kind;
        self.start(n)
    }

    /// Ends a member with SIGKILL.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn kill(&mut self, n: usize) -> Result<()> {
        match std::mem::replace(&mut self.members[n].process, Process::Down) {
            Process::Down => {}
            Process::Running(mut child) | Process::Paused(mut child) => {
                child.kill()?;
                child.wait()?;
            }
        }
        Ok(())
    }

    /// Ends a member with SIGTERM.
    ///
    /// # Errors
    /// If it does not end in time, or not well.
    pub fn stop(&mut self, n: usize) -> Result<()> {
        match std::mem::replace(&mut self.members[n].process, Process::Down) {
            Process::Running(child) => {
                let status = terminate(child).with_context(|| format!("member {}", n + 1))?;
                let is_well = status.success() || !self.kind(n).is_ours();
                ensure!(is_well, "member {} ends with {status}", n + 1);
                Ok(())
            }
            Process::Down | Process::Paused(_) => bail!("member {} does not run", n + 1),
        }
    }

    /// Stops a running member's threads: its connections stay and say nothing.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pause(&mut self, n: usize) -> Result<()> {
        match std::mem::replace(&mut self.members[n].process, Process::Down) {
            Process::Running(child) => {
                signal(&child, "-STOP")?;
                wait_until_stopped(&child)?;
                self.members[n].process = Process::Paused(child);
                Ok(())
            }
            Process::Down | Process::Paused(_) => bail!("member {} does not run", n + 1),
        }
    }

    /// Lets a paused member go on.
    ///
    /// # Errors
    /// If it is not paused.
    pub fn resume(&mut self, n: usize) -> Result<()> {
        match std::mem::replace(&mut self.members[n].process, Process::Down) {
            Process::Paused(child) => {
                signal(&child, "-CONT")?;
                self.members[n].process = Process::Running(child);
                Ok(())
            }
            Process::Down | Process::Running(_) => bail!("member {} is not paused", n + 1),
        }
    }

    /// Waits until a member grants sessions.
    ///
    /// # Errors
    /// If it does not in time, or has ended.
    pub fn wait_for(&mut self, n: usize) -> Result<()> {
        let deadline = Instant::now() + SERVE_TIME_MAX;
        while !self.serves(n)? {
            let name = format!("member {} ({})", n + 1, self.kind(n));
            if let Process::Running(child) = &mut self.members[n].process
                && let Some(status) = child.try_wait()?
            {
                bail!("{name} has ended: {status}");
            }
            ensure!(Instant::now() < deadline, "{name} does not serve after {SERVE_TIME_MAX:?}");
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Waits until every member that runs grants sessions.
    ///
    /// # Errors
    /// As for [`Ensemble::wait_for`].
    pub fn wait_for_all(&mut self) -> Result<()> {
        self.running().into_iter().try_for_each(|n| self.wait_for(n))
    }

    /// Who leads, or is about to. A member that was paused may believe that it does: it is passed
    /// over.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        self.leaders().first().copied()
    }

    /// All who lead or believe that they do: one that is cut off does not know better at once.
    #[must_use]
    pub fn leaders(&self) -> Vec<usize> {
        self.indices().filter(|n| self.leads(*n)).collect()
    }

    fn leads(&self, n: usize) -> bool {
        let member = &self.members[n];
        let Process::Running(child) = &member.process else { return false };
        match member.kind {
            Kind::Raft => {
                let told = self.inside(n, || raw::word(self.address(n), "srvr"));
                told.is_ok_and(|text| text.contains("Mode: leader"))
            }
            Kind::Quorate | Kind::Reference38 | Kind::Reference39 => {
                listening_ports(child.id()).contains(&member.quorum_port)
            }
        }
    }

    /// Waits until somebody leads.
    ///
    /// # Errors
    /// If nobody does in time.
    pub fn wait_for_leader(&self) -> Result<usize> {
        let deadline = Instant::now() + SERVE_TIME_MAX;
        loop {
            if let Some(leader) = self.leader() {
                return Ok(leader);
            }
            ensure!(Instant::now() < deadline, "nobody leads after {SERVE_TIME_MAX:?}");
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// How many members there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// Members that run and are not paused.
    #[must_use]
    pub fn running(&self) -> Vec<usize> {
        let runs = |n: &usize| matches!(self.members[*n].process, Process::Running(_));
        self.indices().filter(runs).collect()
    }

    /// Whether a member has a process, which may be paused.
    #[must_use]
    pub fn is_up(&self, n: usize) -> bool {
        !matches!(self.members[n].process, Process::Down)
    }

    /// A member's process, if it has one.
    #[must_use]
    pub fn pid(&self, n: usize) -> Option<u32> {
        match &self.members[n].process {
            Process::Down => None,
            Process::Running(child) | Process::Paused(child) => Some(child.id()),
        }
    }

    /// Which server a member is.
    #[must_use]
    pub fn kind(&self, n: usize) -> &Kind {
        &self.members[n].kind
    }

    /// Whether another kind of server than ours has written a member's files, now or before.
    #[must_use]
    pub fn was_foreign(&self, n: usize) -> bool {
        self.members[n].was_foreign
    }

    /// Where clients of a member connect.
    #[must_use]
    pub fn address(&self, n: usize) -> SocketAddr {
        SocketAddr::from((self.members[n].host(), self.members[n].client_port))
    }

    /// Where clients of the running members connect.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.running().into_iter().map(|n| self.address(n)).collect()
    }

    /// Does something where a member runs: what it connects is cut off with the member.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn inside<T: Send>(&self, n: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        match &self.members[n].space {
            Some(space) => space.run(work),
            None => work(),
        }
    }

    /// The namespace that a member runs in, if it has one.
    #[must_use]
    pub fn space(&self, n: usize) -> Option<&Space> {
        self.members[n].space.as_ref()
    }

    fn serves(&self, n: usize) -> Result<bool> {
        let address = self.address(n);
        self.inside(n, || Ok(serves(address)))
    }

    fn indices(&self) -> std::ops::Range<usize> {
        0..self.members.len()
    }

    /// Where a member keeps its data, in `version-2`.
    #[must_use]
    pub fn data_directory(&self, n: usize) -> PathBuf {
        self.directory.path().join((n + 1).to_string())
    }

    fn log_path(&self, n: usize) -> PathBuf {
        self.directory.path().join(format!("{}.log", n + 1))
    }

    fn file(&self, n: usize) -> String {
        let member = &self.members[n];
        let mut lines = vec![
            format!("dataDir={}", self.data_directory(n).display()),
            format!("clientPort={}", member.client_port),
            format!("clientPortAddress={}", member.host()),
            "admin.enableServer=false".to_owned(),
        ];
        if member.role == Role::Observer {
            lines.push("peerType=observer".to_owned());
        }
        for (n, member) in self.members.iter().enumerate() {
            let Member { quorum_port, election_port, role, .. } = member;
            let suffix = if *role == Role::Observer { ":observer" } else { "" };
            let (n, host) = (n + 1, member.host());
            lines.push(format!("server.{n}={host}:{quorum_port}:{election_port}{suffix}"));
        }
        lines.extend(self.config.lines.iter().cloned());
        lines.extend(member.lines.iter().cloned());
        if member.kind.is_ours() {
            lines.extend(self.config.properties.iter().cloned());
        }
        lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        })
    }
}

impl Member {
    fn host(&self) -> Ipv4Addr {
        self.space.as_ref().map_or(Ipv4Addr::LOCALHOST, |space| space.address)
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for n in self.indices() {
            let _ = self.kill(n);
        }
        self.leave_logs();
    }
}
