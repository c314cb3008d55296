//! Ensembles under load: of our servers, and of ours beside the reference's.
//!
//! Whatever is killed, paused or replaced by the other implementation on the same files: what was
//! acknowledged is there, once, on every member, sessions live on, and ephemeral nodes are those of
//! sessions that live. `E2E_ENSEMBLE_ROUNDS` asks for more, `E2E_SEED` for others.

use anyhow::{Context, Result, ensure};
use e2e::ensemble::Role::{Observer, Participant};
use e2e::ensemble::{Ensemble, Role};
use e2e::faults::{self, Campaign, Fault};
use e2e::load::create;
use e2e::play::Client;
use e2e::program::{Hello, Request, Value};
use e2e::servers::{Kind, number_from, reference};
use wire::OpCode;

const ROUNDS: u64 = 7;
const OURS: Kind = Kind::Quorate;

fn seed() -> u64 {
    number_from("E2E_SEED", 1)
}

fn rounds() -> u64 {
    number_from("E2E_ENSEMBLE_ROUNDS", ROUNDS)
}

/// The leader is killed under load; the only member that may follow it is another kind of server,
/// or the same one.
fn kill_leader(campaign: &mut Campaign) -> Result<()> {
    let leader = campaign.leader()?;
    campaign.round(Fault::Kill(leader))?;
    campaign.round(Fault::None)?;
    let kind = campaign.ensemble.kind(leader).clone();
    campaign.round(Fault::Start(leader, kind))?;
    campaign.round(Fault::None)
}

/// Members with these kinds, of which the last must lead: it has the largest number and, at the
/// start, the same history.
fn with_leader(kinds: [Kind; 3]) -> Result<()> {
    let last = kinds[2].clone();
    let members = kinds.map(|kind| (kind, Participant));
    let mut campaign = Campaign::start(&members, &[], seed())?;
    let leader = campaign.leader()?;
    ensure!(*campaign.ensemble.kind(leader) == last, "{leader} leads");
    campaign.round(Fault::None)?;
    campaign.round(Fault::Kill(0))?;
    let kind = campaign.ensemble.kind(0).clone();
    campaign.round(Fault::Start(0, kind))?;
    kill_leader(&mut campaign)?;
    let leader = campaign.leader()?;
    campaign.round(Fault::LeaveBehind(leader))?;
    campaign.finish()
}

#[test]
fn three_of_ours_lose_nothing_when_killed_or_paused() {
    lose_nothing(&[OURS, OURS, OURS].map(|kind| (kind, Participant)), rounds()).unwrap();
}

/// A member that only learns is one of those that are killed and paused.
#[test]
fn members_over_raft_lose_nothing_when_killed_or_paused() {
    let mut members = vec![(Kind::Raft, Participant); 3];
    members.push((Kind::Raft, Observer));
    lose_nothing(&members, number_from("E2E_ENSEMBLE_ROUNDS", 4)).unwrap();
}

fn lose_nothing(members: &[(Kind, Role)], rounds: u64) -> Result<()> {
    let mut campaign = Campaign::start(members, &[], seed())?;
    for _ in 0..rounds {
        campaign.random_round()?;
    }
    let leader = campaign.leader()?;
    campaign.ensemble.wait_for_all()?;
    if campaign.ensemble.running().len() == members.len() {
        campaign.round(Fault::Pause(leader))?;
        campaign.round(Fault::Resume(leader))?;
    }
    campaign.finish()?;
    ensure!(campaign.load.acknowledged > 0, "the load shows nothing");
    Ok(())
}

#[test]
fn ours_leads_theirs() {
    with_leader([reference(), reference(), OURS]).unwrap();
}

#[test]
fn theirs_leads_ours() {
    with_leader([OURS, OURS, reference()]).unwrap();
}

#[test]
fn mixed_members_change_kind_under_load() {
    let members = [reference(), OURS, reference()].map(|kind| (kind, Participant));
    let mut campaign = Campaign::start(&members, &[reference(), OURS], seed()).unwrap();
    for _ in 0..rounds() {
        campaign.random_round().unwrap();
    }
    campaign.finish().unwrap();
}

/// One member at a time, from theirs to ours and back, with clients all the while.
#[test]
fn a_rolling_replacement_there_and_back() {
    let members = [reference(), reference(), reference()].map(|kind| (kind, Participant));
    let mut campaign = Campaign::start(&members, &[], seed()).unwrap();
    for kind in [OURS, reference()] {
        for n in 0..3 {
            campaign.round(Fault::Kill(n)).unwrap();
            campaign.round(Fault::Start(n, kind.clone())).unwrap();
        }
        campaign.finish().with_context(|| format!("all are {kind}")).unwrap();
    }
}

#[test]
fn observers_of_both_kinds_show_the_same() {
    let members = [
        (reference(), Participant),
        (OURS, Participant),
        (OURS, Participant),
        (reference(), Observer),
        (OURS, Observer),
    ];
    let mut campaign = Campaign::start(&members, &[], seed()).unwrap();
    campaign.round(Fault::Kill(4)).unwrap();
    campaign.round(Fault::Start(4, reference())).unwrap();
    campaign.round(Fault::Kill(3)).unwrap();
    campaign.round(Fault::Start(3, OURS)).unwrap();
    kill_leader(&mut campaign).unwrap();
    campaign.finish().unwrap();
}

/// A follower of the reference answers its clients in the order in which it forwarded, over all
/// sessions: a leader that answers a sync too late silences it for ever.
#[test]
fn syncs_between_writes_do_not_silence_their_follower() {
    let mut ensemble = Ensemble::new(&[reference(), OURS, OURS], faults::config()).unwrap();
    ensemble.start_led_by_last_voter().unwrap();
    let mut clients: Vec<Client> = (0..4)
        .map(|n| {
            let mut client = Client::default();
            client.connect(ensemble.address(0), &Hello::new_session(), &[]).unwrap();
            create(&mut client, &format!("/synced-{n}"), "").unwrap();
            client
        })
        .collect();
    let burst = |n: usize| -> Vec<Request> {
        let path = || Value::Text(format!("/synced-{n}"));
        let set = Request::new(OpCode::SetData, vec![path(), Value::Null, Value::Int(-1)]);
        let sync = Request::new(OpCode::Sync, vec![path()]);
        [sync, set].into_iter().cycle().take(100).collect()
    };
    for _ in 0..10 {
        clients.iter_mut().enumerate().for_each(|(n, c)| c.send_with_barrier(&burst(n)));
        for client in &mut clients {
            client.finish_exchange().unwrap();
            assert!(client.is_connected(), "the follower says nothing any more");
        }
    }
}
