//! The end: everything is mended, everyone is to be served, and all that is seen is to agree.

use crate::client::{Client, Phase};
use crate::clock::UNIT;
use crate::partition::pairs;
use crate::report::Ending;
use crate::server::Host;
use crate::world::{Event, Step, World};
use base::Time;
use check::{Fate, Violation};
use std::time::Duration;

impl World {
    /// From here on nothing fails any more, and what has failed is mended: at all members, or at
    /// enough of them, while the others stay as they are.
    pub(crate) fn heal(&mut self) -> Step {
        (self.healed, self.healed_at) = (true, self.now);
        self.note("heal", 0, 0, &[]);
        self.core = self.choose_core();
        self.net.unblock_all();
        for member in 0..self.sites.len() {
            if self.core.contains(&member) {
                self.mend_site(member);
            } else {
                self.freeze(member);
            }
        }
        let is_core = |member: usize| self.core.contains(&member);
        let apart: Vec<_> =
            pairs(self.sites.len()).filter(|(a, b)| is_core(*a) != is_core(*b)).collect();
        self.net.block(&apart);
        self.net.reflow_all(self.now);
        self.plan_net();
        for client in &mut self.clients {
            client.silent_until = Time::ZERO;
            if client.operates {
                client.script.clear();
            }
        }
        self.leave_some_behind();
        let calm = self.options.duration / 4 + Duration::from_secs(1);
        self.schedule(calm, Event::Settle);
        Ok(())
    }

    /// A quorum, by chance, and all observers; or everyone.
    fn choose_core(&mut self) -> Vec<usize> {
        let mut core: Vec<usize> = (0..self.sites.len()).collect();
        let Some(ensemble) = self.options.ensemble.as_ref().filter(|e| e.core_only) else {
            return core;
        };
        let voters = ensemble.setup.voters.len();
        let size = self.rng.between(voters as u64 / 2 + 1, voters as u64) as usize;
        let (configurations, whole) = (self.configurations(), self.whole());
        for left in (size + 1..=voters).rev() {
            let out = core[self.rng.below(left as u64) as usize];
            let rest: Vec<usize> = core.iter().copied().filter(|member| *member != out).collect();
            let has_disk = |member: &usize| whole.contains(member);
            let able: Vec<usize> = rest.iter().copied().filter(has_disk).collect();
            if configurations.iter().all(|configuration| self.is_quorum(configuration, &able)) {
                core = rest;
            }
        }
        core
    }

    /// Some clients go without a word: what becomes of their sessions is the ensemble's business.
    fn leave_some_behind(&mut self) {
        if self.options.ensemble.is_none() || self.options.over_raft() {
            return;
        }
        for index in 0..self.clients.len() {
            if self.clients[index].operates || !self.rng.one_in(4) {
                continue;
            }
            self.clients[index].gone = true;
            self.reached.abandoned += u64::from(self.clients[index].session != 0);
            if let Some(link) = self.clients[index].link().filter(|_| self.rng.one_in(2)) {
                self.drop_link(link);
            }
        }
    }

    fn mend_site(&mut self, member: usize) {
        let among_others = self.options.ensemble.is_some();
        let rate =
            if among_others { self.rng.between(UNIT - UNIT / 20, UNIT + UNIT / 20) } else { UNIT };
        let site = &mut self.sites[member];
        site.boundary = None;
        site.recovery_fuse = None;
        site.slow_sync_until = Time::ZERO;
        site.disk.repair();
        if site.host.as_ref().is_some_and(|host| host.disk_failed) {
            // Whoever mends a disk takes the power off: what only the cache held is lost.
            self.crash(member, true);
        }
        if among_others {
            self.set_rate(member, rate);
        }
    }

    /// Whoever is not of the core is down, hangs, or is cut off, and stays so.
    fn freeze(&mut self, member: usize) {
        self.sites[member].frozen = true;
        match self.rng.below(3) {
            0 => self.crash(member, true),
            1 => self.sites[member].paused_until = Time(u64::MAX),
            _ => {}
        }
    }

    /// Looks whether everyone was served; the world ends with that.
    pub(crate) fn settle(&mut self) -> Step {
        if !self.is_settling() {
            self.settle_by = self.now + self.options.settles_within();
        }
        let left_behind = self.left_behind()?;
        let quiet = self.links.values().all(|link| {
            link.in_flight == 0 || !link.client_up || !self.core.contains(&link.member)
        });
        let idle = self.required().iter().all(|member| {
            let site = &self.sites[*member];
            site.serves() && site.host.as_ref().is_some_and(Host::is_idle)
        });
        if self.clients.iter().all(is_done) && quiet && idle && self.agree() {
            if !left_behind {
                return self.end();
            }
            // They have a time of their own.
            self.settle_by = self.settle_by.max(self.now + Duration::from_secs(1));
        }
        if self.now > self.settle_by {
            return Err(Violation::new("liveness", self.what_is_missing(quiet, idle)));
        }
        self.schedule(Duration::from_millis(20), Event::Settle);
        Ok(())
    }

    /// Whether all members of the core have applied all that is decided, and logged no more.
    fn agree(&self) -> bool {
        let decided = self.ledger.decided();
        let has_all = |member: &usize| {
            let site = &self.sites[*member];
            let last = site.host.as_ref().map_or(0, Host::last);
            self.ledger.entry_in(last, site.tip) == decided && site.tip == decided
        };
        self.options.ensemble.is_none() || self.required().iter().all(has_all)
    }

    fn what_is_missing(&self, quiet: bool, idle: bool) -> String {
        let waiting: Vec<String> = self
            .clients
            .iter()
            .filter(|client| !is_done(client))
            .map(|c| format!("{:?} {:#x} {:?}", c.phase, c.session, c.outstanding.front()))
            .collect();
        let members: Vec<String> = self
            .required()
            .iter()
            .map(|member| {
                let site = &self.sites[*member];
                let last = site.host.as_ref().map(Host::last);
                let (node, serves, tip) = (site.node.0, site.serves(), site.tip);
                format!("{node} serves {serves} applied {last:x?} logged {tip:#x}")
            })
            .collect();
        let decided = self.ledger.decided();
        format!(
            "members idle {idle}, links quiet {quiet}, decided {decided:#x}: {members:?}, waiting: \
             {waiting:?}"
        )
    }

    fn end(&mut self) -> Step {
        let required = self.required();
        for member in &required {
            self.see_tree(*member)?;
        }
        for client in &mut self.clients {
            // Who was removed need not have all that is decided, nor have its clients.
            let link = client.link().and_then(|link| self.links.get(&link));
            let is_served = link.is_none_or(|link| required.contains(&link.member));
            let is_whole = is_served && !client.gone;
            client.disconnected(if is_whole { Fate::Whole } else { Fate::Broken });
        }
        self.ending = Some(Ending::Converged);
        Ok(())
    }
}

fn is_done(client: &Client) -> bool {
    let open = matches!(client.phase, Phase::Open(_)) && !client.reads_alone();
    client.gone || client.outstanding.is_empty() && (open || client.retired)
}
