//! What a member has with the others: links, states that go to them, and reads of its own disk.

use crate::net::{self, News, What};
use crate::server::Host;
use crate::world::{Act, Event, Step, World};
use base::Zxid;
use broadcast::LinkId;
use check::Violation;
use node::{Input, Journal, Output, SnapshotSender};
use std::time::Duration;
use storage::RecoveryOptions;
use trace::{Ensemble, Event as Happened, SyncMethod};

/// A state on its way over a link, and what is to follow it.
pub(crate) struct Source {
    sender: SnapshotSender,
    behind: Vec<Output>,
}

/// What is to be read from the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    State { at: Zxid },
    Log { link: LinkId, from: Zxid },
}

impl World {
    /// What the net wants back comes back.
    pub(crate) fn plan_net(&mut self) {
        for (delay, event) in std::mem::take(&mut self.net.due) {
            self.schedule(delay, Event::Net(event));
        }
    }

    pub(crate) fn net_moves(&mut self, event: net::Event) -> Step {
        let news = self.net.take(self.now, event, &mut self.rng);
        self.plan_net();
        let Some(news) = news else { return Ok(()) };
        let (member, overlap) = (news.member, self.options.overlap);
        let Some(host) = &mut self.sites[member].host else { return Ok(()) };
        host.news.push_back(news);
        if host.committing && !overlap {
            return Ok(()); // the commit ends in a cycle
        }
        self.hear_news(member)?;
        self.go_on(member);
        Ok(())
    }

    /// The member hears what came on its links.
    pub(crate) fn hear_news(&mut self, member: usize) -> Step {
        while let Some(host) = &mut self.sites[member].host
            && let Some(News { link, what, .. }) = host.news.pop_front()
        {
            let wall = self.wall(member);
            let input = match what {
                What::Received(bytes) => {
                    self.note("heard", member as u64, link.0, &bytes);
                    Input::Received { link, bytes, wall }
                }
                What::Up { channel, peer, .. } => {
                    self.note("up", member as u64, peer as u64, &[]);
                    Input::LinkUp { link, channel }
                }
                What::Down { reason, .. } => {
                    self.note("down", member as u64, link.0, &[]);
                    if let Some(host) = &mut self.sites[member].host {
                        host.sources.remove(&link);
                    }
                    Input::LinkDown { link, reason: reason.to_owned() }
                }
            };
            self.handle(member, input)?;
        }
        Ok(())
    }

    /// What a member wants of the others, or of its disk.
    pub(crate) fn among_members(&mut self, member: usize, output: Output) -> Step {
        let (now, rng) = (self.now, &mut self.rng);
        let site = &mut self.sites[member];
        let Some(host) = &mut site.host else { return Ok(()) };
        match output {
            Output::Send { link, .. } | Output::Close { link } | Output::SendSnapshot { link }
                if host.sources.contains_key(&link) =>
            {
                host.sources.entry(link).and_modify(|source| source.behind.push(output));
            }
            Output::Send { link, frame } => self.net.send(now, (member, link), frame, rng),
            Output::Close { link } => self.net.finish(now, member, link, rng),
            Output::SendSnapshot { link } => {
                let sender = SnapshotSender::new(&host.hall.0.borrow().tree);
                let source = Source { sender, behind: Vec::new() };
                host.sources.insert(link, source);
                self.schedule_act(Duration::from_micros(10), member, Act::Piece { link });
            }
            Output::Dial { link, channel, addresses } => {
                self.net.dial(now, (member, link), channel, addresses, rng);
            }
            Output::Listen { channel, addresses } => self.net.listen(member, channel, &addresses),
            Output::Unlisten { channel } => self.net.unlisten(member, Some(channel)),
            Output::Reload { at } => {
                host.reads.push_back(Read::State { at });
                self.read_soon(member);
            }
            Output::ReadLog { link, from } => {
                host.reads.push_back(Read::Log { link, from });
                self.read_soon(member);
            }
            // A state in memory that the disk does not take: whoever mends the disk starts again.
            Output::Fatal { .. } if host.snapshot_failed => {
                self.reached.ended += 1;
                self.crash(member, true);
            }
            Output::Fatal { reason } => {
                let what = format!("member {}: {reason}", site.node.0);
                return Err(Violation::new("member.ended", what));
            }
            // Those of the journal, after the disk has failed.
            Output::Append { .. }
            | Output::Truncate { .. }
            | Output::Register { .. }
            | Output::Text { .. }
            | Output::Slot { .. }
            | Output::Cut { .. }
            | Output::Base { .. }
            | Output::Announced { .. }
            | Output::Roll
            | Output::BeginInstall { .. }
            | Output::Install { .. }
            | Output::TakeSnapshot
            | Output::Event(_) => {}
        }
        self.plan_net();
        Ok(())
    }

    fn read_soon(&mut self, member: usize) {
        let delay = self.around(Duration::from_millis(3));
        self.schedule_act(delay, member, Act::Read);
    }

    /// The next piece of a state leaves.
    pub(crate) fn send_piece(&mut self, member: usize, link: LinkId) -> Step {
        let size = self.options.ensemble.as_ref().map_or(0, |ensemble| ensemble.piece);
        let Some(Host { sources, hall, .. }) = &mut self.sites[member].host else { return Ok(()) };
        let Some(source) = sources.get_mut(&link) else { return Ok(()) };
        let piece = source.sender.next_chunk(&hall.0.borrow().tree, size);
        let gone = if piece.is_none() { sources.remove(&link) } else { None };
        if let Some(bytes) = piece {
            self.net.send(self.now, (member, link), bytes, &mut self.rng);
            self.plan_net();
            let delay = self.between(Duration::ZERO, Duration::from_millis(2));
            self.schedule_act(delay, member, Act::Piece { link });
            return Ok(());
        }
        let Some(Source { sender, behind }) = gone else { return Ok(()) };
        if !sender.is_complete() {
            self.net.finish(self.now, member, link, &mut self.rng);
            self.plan_net();
            let reason = "the tree has been replaced while it was sent".to_owned();
            self.handle(member, Input::LinkDown { link, reason })?;
            self.go_on(member);
            return Ok(());
        }
        behind.into_iter().try_for_each(|output| self.among_members(member, output))
    }

    /// Reads what is asked for from the disk: a state only when all before it is there.
    pub(crate) fn read_disk(&mut self, member: usize) -> Step {
        let recent = self.options.recent();
        let site = &mut self.sites[member];
        let Some(host) = &mut site.host else { return Ok(()) };
        let dirty = host.committing || host.journal.as_ref().is_some_and(Journal::is_dirty);
        let Some(read) = host.reads.pop_front() else { return Ok(()) };
        let options = RecoveryOptions::default();
        let input = match read {
            Read::State { .. } if dirty => {
                host.reads.push_front(read);
                self.schedule_act(Duration::from_millis(1), member, Act::Read);
                return Ok(());
            }
            Read::State { at } => {
                self.reached.reloads += 1;
                let tree = tree::Config { digest: true, owners: site.keeper_config.owners };
                match node::reload(&site.disk, &site.dirs, options, tree, at, recent) {
                    Ok((tree, recent)) => {
                        site.uncut = None;
                        Input::Reloaded { tree: Box::new(tree), recent }
                    }
                    Err(error) => Input::ReloadFailed { reason: error.to_string() },
                }
            }
            Read::Log { link, from } => {
                let entries = node::read_log(&site.disk, &site.dirs, options, from, 0.0, recent);
                self.reached.log_reads += u64::from(!entries.is_empty());
                Input::LogRead { link, entries }
            }
        };
        self.handle(member, input)?;
        self.go_on(member);
        Ok(())
    }

    /// Counts what is worth it, and shows it.
    pub(crate) fn happened(&mut self, member: usize, event: &Happened) -> Step {
        let node = self.sites[member].node.0;
        self.show(|| format!("{node} {event}"));
        let Happened::Ensemble(event) = event else { return Ok(()) };
        match event {
            Ensemble::ElectionDecided { .. } => self.reached.elections += 1,
            Ensemble::LearnerSynced { method, .. } => {
                let count = match method {
                    SyncMethod::Diff => &mut self.reached.diffs,
                    SyncMethod::Trunc => &mut self.reached.truncs,
                    SyncMethod::Snap => &mut self.reached.snaps,
                };
                *count += 1;
            }
            Ensemble::Joined { .. } => self.reached.joined += 1,
            Ensemble::Established { epoch, .. } if self.sites[member].slots.is_some() => {
                self.reached.leaders += 1;
                return self.ledger.leads_in(*epoch, self.sites[member].tip);
            }
            // Also of one that hands over at once, and is not seen to serve.
            Ensemble::Established { epoch, .. } if !self.ledger.is_begun(epoch << 32) => {
                self.reached.leaders += 1;
                self.led_since = self.now;
                return self.ledger.begin_epoch(epoch << 32, self.sites[member].tip);
            }
            Ensemble::ConfigurationChanged { version } => {
                return self.check_configuration(member, *version);
            }
            Ensemble::ElectionStarted { .. }
            | Ensemble::VoteChanged { .. }
            | Ensemble::ElectionStalled { .. }
            | Ensemble::EpochProposed { .. }
            | Ensemble::EpochAgreed { .. }
            | Ensemble::EpochPromised { .. }
            | Ensemble::Established { .. }
            | Ensemble::LearnerJoined { .. }
            | Ensemble::LearnerLost { .. }
            | Ensemble::VoterChangedMind { .. }
            | Ensemble::SteppedDown { .. }
            | Ensemble::LeaderLost { .. }
            | Ensemble::LinkRefused { .. }
            | Ensemble::ListenFailed { .. } => {}
        }
        Ok(())
    }
}
