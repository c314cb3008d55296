//! The differential gate: a fixed set of programs, and every program that was kept as a regression.
//!
//! The servers are the reference and ours; `DIFFERENTIAL_SUBJECT` names another one (java38, java39).
//! The reference is 3.9 where its jars are installed, else Debian's 3.8, which shares less with us.

use e2e::campaign::{Campaign, PROFILES, Profile};
use e2e::compare::Pair;
use e2e::generate::{self, Dialect};
use e2e::program::Program;
use e2e::servers::{Kind, Server, installed_reference, repository};
use std::{env, fs};

/// Seeds of the gate start here.
const SEED: u64 = 1;
/// About a minute's worth.
const REQUESTS: usize = 20_000;

fn campaign() -> Campaign {
    let reference = installed_reference().expect("no reference server: run .ci/install");
    let subject = match env::var("DIFFERENTIAL_SUBJECT") {
        Ok(name) => Kind::parse(&name).expect("DIFFERENTIAL_SUBJECT"),
        Err(_) => Kind::Quorate,
    };
    Campaign { kinds: (reference, subject), seed: SEED, requests: REQUESTS, shrink: true }
}

#[test]
fn clients_cannot_tell_us_from_the_reference() {
    let campaign = campaign();
    let report = campaign.run(|_| ()).expect("both servers start");
    if let Some(failure) = &report.failure {
        panic!("{failure}");
    }
    let missing = report.coverage.missing(campaign.dialect());
    assert!(missing.is_empty(), "the programs did not reach {missing:?}");
}

/// Programs whose first line is `# since 3.9` need that reference.
#[test]
fn kept_programs_agree() {
    let campaign = campaign();
    let directory = repository().join("crates/e2e/programs");
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    for profile in PROFILES {
        let mut pair = Pair::start(&campaign.kinds, &profile.config()).unwrap();
        for path in &paths {
            let text = fs::read_to_string(path).unwrap();
            if text.starts_with("# since 3.9") && campaign.kinds.0 == Kind::Reference38 {
                continue;
            }
            let divergence = pair.run(&Program::parse(&text).unwrap()).0;
            let Some(divergence) = divergence else { continue };
            panic!("{} under {}: {divergence}", path.display(), profile.name);
        }
    }
}

/// Two servers of one kind, one of which does not enforce quotas nor knows TTLs.
#[test]
fn a_server_that_behaves_otherwise_is_found_out() {
    let kind = installed_reference().expect("no reference server: run .ci/install");
    let start = |profile: &Profile| Server::start(kind.clone(), profile.config()).unwrap();
    let mut pair = Pair { reference: start(&PROFILES[0]), subject: start(&PROFILES[1]) };
    let found = (0..5).find_map(|seed| pair.run(&generate::program(seed, Dialect::Since38)).0);
    let found = found.expect("creates with a time to live fail on one server alone").to_string();
    assert!(found.contains("err=-6"), "{found}");
}
