//! Clients of all members with everything in any order: letters, deliveries, moves, elections.

use super::ensemble::{Client, Ensemble};
use super::harness::{Got, create, request};
use super::{get, path, set};
use crate::LocalSessions;
use base::Rng;
use wire::{ErrorCode, OpCode};

/// A client and what it expects.
struct Asker {
    client: Client,
    next: i32,
    /// Requests without a reply, oldest first, each with what its reply must have seen.
    waits_for: Vec<(i32, i64)>,
    reads_linearizably: bool,
}

impl Asker {
    /// `told` is the last place that anybody was told of.
    fn ask(&mut self, ensemble: &mut Ensemble, rng: &mut Rng, told: i64) {
        if ensemble.is_closed(self.client) {
            return;
        }
        let node = format!("/{}", rng.below(4));
        let frame = |op, body: &dyn Fn(&mut Vec<u8>)| request(self.next, op, |out| body(out));
        let frame = match rng.below(8) {
            6 => frame(OpCode::Create, &|out| create(&node, b"", 1)(out)),
            7 => frame(OpCode::Multi, &|out| super::harness::multi(&[(&node, 1)])(out)),
            0 => frame(OpCode::Create, &|out| create(&node, b"", 0)(out)),
            1 => frame(OpCode::SetData, &|out| set(&node, b"data")(out)),
            2 => frame(OpCode::Sync, &|out| path(&node)(out)),
            3 => frame(OpCode::Multi, &|out| super::harness::multi(&[(&node, 0)])(out)),
            4 => frame(OpCode::Delete, &|out| {
                path(&node)(out);
                jute::put_int(out, -1);
            }),
            _ => frame(OpCode::Exists, &|out| get(&node, false)(out)),
        };
        ensemble.send(self.client, frame);
        self.waits_for.push((self.next, if self.reads_linearizably { told } else { 0 }));
        self.next += 1;
    }

    /// Replies come in the order of the requests, and none comes twice. Gives the last place that
    /// one tells of.
    fn check(&mut self, ensemble: &mut Ensemble) -> i64 {
        let got = ensemble[self.client.of].got(self.client.slot);
        let expected = self.waits_for.drain(..got.len());
        for (got, (xid, must_see)) in got.iter().zip(expected) {
            assert_eq!(got.xid(), xid);
            // A write that is refused before it is forwarded tells of this member alone.
            let is_refused = got.err() == ErrorCode::EphemeralOnLocalSession.number();
            let sees_all = is_refused || got.zxid() >= must_see;
            assert!(sees_all, "{xid} shows {}, not {must_see}", got.zxid());
        }
        let zxids: Vec<i64> = got.iter().map(Got::zxid).collect();
        assert!(zxids.is_sorted(), "what a client sees never goes back");
        zxids.last().copied().unwrap_or_default()
    }

    /// Says how it wants its reads.
    fn choose(&self, ensemble: &mut Ensemble) {
        let level: &[u8] = if self.reads_linearizably { b"linearizable" } else { b"local" };
        ensemble.send(self.client, super::linearizable::auth("reads", level));
        assert_eq!(ensemble.got(self.client).len(), 1);
    }

    /// On another connection, with another session if its own was known elsewhere alone.
    fn come_back(&mut self, ensemble: &mut Ensemble, of: usize) {
        let client = ensemble.reconnect(self.client, of);
        ensemble.run();
        let is_renewed = ensemble[of].is_renewed(client.slot);
        self.client = if is_renewed { client } else { ensemble.session(of) };
        self.waits_for.clear();
        self.choose(ensemble);
    }
}

/// No session is both local and everybody's.
fn check_sessions(ensemble: &Ensemble) {
    for of in 0..3 {
        let keeper = &ensemble[of].keeper;
        let mut locals = keeper.local_sessions().buckets().flat_map(|(_, sessions)| sessions);
        assert!(locals.all(|session| keeper.expiry().get(*session).is_none()));
    }
}

fn run(seed: u64, locals: LocalSessions) {
    let mut rng = Rng::new(seed);
    let mut ensemble = Ensemble::with(|config| config.local_sessions = locals);
    let mut askers: Vec<Asker> = (0..6)
        .map(|n| Asker {
            client: ensemble.session(n % 3),
            next: 1,
            waits_for: Vec::new(),
            reads_linearizably: n < 4,
        })
        .collect();
    askers.iter().for_each(|asker| asker.choose(&mut ensemble));
    let mut told = 0;
    for _ in 0..400 {
        let of = usize::try_from(rng.below(3)).unwrap();
        let asker = usize::try_from(rng.below(6)).unwrap();
        match rng.below(40) {
            0 => ensemble.elect(of),
            1 => askers[asker].come_back(&mut ensemble, of),
            2..=15 => askers[asker].ask(&mut ensemble, &mut rng, told),
            16..=20 if of != ensemble.primary => ensemble.carry_from(of),
            21..=25 => ensemble.answer_read(),
            26..=31 => ensemble.decide(),
            _ => ensemble.receive(of),
        }
        for asker in &mut askers {
            told = told.max(asker.check(&mut ensemble));
        }
        check_sessions(&ensemble);
    }
    ensemble.run();
    for asker in &mut askers {
        asker.check(&mut ensemble);
        assert!(asker.waits_for.is_empty() || ensemble.is_closed(asker.client), "seed {seed}");
    }
    ensemble.check_agreement();
}

#[test]
fn every_request_is_answered_once_in_order_or_its_connection_is_closed_and_reads_see_all() {
    for locals in [LocalSessions::Off, LocalSessions::Fixed, LocalSessions::Upgradable] {
        (0..100).for_each(|seed| run(seed, locals));
    }
}
