//! Clients of all members with everything in any order: letters, deliveries, moves, elections.

use super::ensemble::{Client, Ensemble};
use super::harness::{Got, create, request};
use super::{get, path, set};
use crate::LocalSessions;
use base::Rng;
use wire::OpCode;

/// A client and what it expects.
struct Asker {
    client: Client,
    next: i32,
    /// Requests without a reply, oldest first.
    waits_for: Vec<i32>,
}

impl Asker {
    fn ask(&mut self, ensemble: &mut Ensemble, rng: &mut Rng) {
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
        self.waits_for.push(self.next);
        self.next += 1;
    }

    /// Replies come in the order of the requests, and none comes twice.
    fn check(&mut self, ensemble: &mut Ensemble) {
        let got = ensemble[self.client.of].got(self.client.slot);
        let xids: Vec<i32> = got.iter().map(Got::xid).collect();
        assert_eq!(xids, self.waits_for[..xids.len()]);
        self.waits_for.drain(..xids.len());
        let zxids: Vec<i64> = got.iter().map(Got::zxid).collect();
        assert!(zxids.is_sorted(), "what a client sees never goes back");
    }

    /// On another connection, with another session if its own was known elsewhere alone.
    fn come_back(&mut self, ensemble: &mut Ensemble, of: usize) {
        let client = ensemble.reconnect(self.client, of);
        ensemble.run();
        let is_renewed = ensemble[of].is_renewed(client.slot);
        self.client = if is_renewed { client } else { ensemble.session(of) };
        self.waits_for.clear();
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
        .map(|n| Asker { client: ensemble.session(n % 3), next: 1, waits_for: Vec::new() })
        .collect();
    for _ in 0..400 {
        let of = usize::try_from(rng.below(3)).unwrap();
        let asker = usize::try_from(rng.below(6)).unwrap();
        match rng.below(40) {
            0 => ensemble.elect(of),
            1 => askers[asker].come_back(&mut ensemble, of),
            2..=15 => askers[asker].ask(&mut ensemble, &mut rng),
            16..=20 if of != ensemble.primary => ensemble.carry_from(of),
            21..=25 => ensemble.answer_read(),
            26..=31 => ensemble.decide(),
            _ => ensemble.receive(of),
        }
        askers.iter_mut().for_each(|asker| asker.check(&mut ensemble));
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
fn every_request_is_answered_once_in_order_or_its_connection_is_closed() {
    for locals in [LocalSessions::Off, LocalSessions::Fixed, LocalSessions::Upgradable] {
        (0..100).for_each(|seed| run(seed, locals));
    }
}
