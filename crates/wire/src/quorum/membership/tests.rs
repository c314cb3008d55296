//! Configurations: texts, quorums, and what reconfigurations make of them.

use super::{Membership, table_order};
use crate::ErrorCode;
use crate::quorum::{Problem, Role, Rules};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

const RULES: Rules = Rules { multi_address: true, standalone: true };

fn read(text: &str) -> Membership {
    Membership::parse(text, &RULES).unwrap()
}

/// What is wrong with a text.
fn wrong(text: &str) -> String {
    Membership::parse(text, &Rules::DEFAULT).unwrap_err().to_string()
}

const THREE: &str = "server.1=a:2888:3888:participant;0.0.0.0:2181
server.2=b:2888:3888:participant;0.0.0.0:2181
server.3=c:2888:3888:participant;0.0.0.0:2181
version=100000000";

const GROUPS: &str =
    "server.1=a:2:3\nserver.2=b:2:3\nserver.3=c:2:3\nserver.4=d:2:3\nserver.5=e:2:3
server.6=f:2:3:observer\ngroup.1=1:2:3\ngroup.2=4\ngroup.3=5\nweight.5=0\nweight.1=3\n";

#[test]
fn a_text_is_printed_as_the_reference_prints_it() {
    assert_eq!(read(THREE).to_string(), THREE);
    let text = read(
        "# members\n! of the ensemble\n\nversion = 1f\r\nserver.2: [::1]:2:3\n\
         server.10 b:4:5:OBSERVER;7\n\
         server.1=z:1:2|a:3:4:participant|a:3:4:participant;;[2001:db8::1]:8\n\
         server.3=a:2:3;h:1;9\n",
    );
    assert_eq!(
        text.to_string(),
        "server.1=a:3:4|z:1:2:participant;;[2001:db8:0:0:0:0:0:1]:8\n\
         server.2=[0:0:0:0:0:0:0:1]:2:3:participant\n\
         server.3=a:2:3:participant;h:1;0.0.0.0:9\n\
         server.10=b:4:5:observer;0.0.0.0:7\n\
         version=1f"
    );
    assert_eq!(
        read(GROUPS).to_string().lines().skip(6).collect::<Vec<_>>(),
        [
            "group.1=1:2:3",
            "group.2=4",
            "group.3=5",
            "weight.1=3",
            "weight.2=1",
            "weight.3=1",
            "weight.4=1",
            "weight.5=0",
            "version=0"
        ]
    );
    assert_eq!(Membership::default().to_string(), "version=0");
}

#[test]
fn files_hold_sorted_lines() {
    let text = read("server.2=a:2:3\nserver.10=b:2:3\nversion=1");
    assert_eq!(text.file_text(), "server.10=b:2:3:participant\nserver.2=a:2:3:participant");
    assert!(text.next_file_text().ends_with("\nversion=1"));
}

#[test]
fn ids_are_listed_in_the_order_of_a_hash_table() {
    assert_eq!(table_order([1, 2, 3, 17, 255].into_iter()), [1, 17, 2, 3, 255]);
    assert_eq!(table_order(0..13), (0..13).collect::<Vec<_>>());
    // Those that share a place stay as they come.
    assert_eq!(table_order([17, 1].into_iter()), [17, 1]);
    // With twelve a table has sixteen places, with thirteen it has twice as many.
    assert_eq!(table_order((0..11).chain([16])), [0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let thirteen: Vec<i64> = (0..12).chain([16]).collect();
    assert_eq!(table_order(thirteen.iter().copied()), thirteen);
    assert_eq!(table_order([-1, 1 << 32, 2].into_iter()), [-1, 1 << 32, 2]);
}

#[test]
fn what_is_wrong_is_said_with_its_key() {
    for (text, says) in [
        ("peer.1=a:2:3", "peer.1: no such key in a configuration"),
        ("server.x=a:2:3", "server.x: \"x\" is not a number"),
        ("version=g", "version: \"g\" is not a number"),
        ("version=-1", "version: \"-1\" is not a number"),
        ("server.1=a:2:x", "server.1: \"x\" is not a port"),
        ("server.1=a:2:3;b:70000", "server.1: 70000 is not a port: these go from 0 to 65535"),
        ("server.1=a:2:3:voter", "server.1: \"voter\" is neither participant nor observer"),
        ("server.1=a:2:2", "server.1: 2 cannot be both the quorum and the election port"),
        ("server.1=a:2:3|b:2:3", "server.1: several addresses need multiAddress.enabled"),
        ("group.1=1\ngroup.2=1", "group.2: server 1 is in another group already"),
        ("group.1=1:x", "group.1: \"x\" is not a number"),
        ("server.1=a:2:3\nweight.1=1", "server.1: the server is a participant and in no group"),
        ("group.1=1", "group.1: server 1 is no participant and has no weight"),
        ("weight.1=-1", "weight.1: weights go from 0 to 2^63 - 1, together too"),
        ("server.1=a:2:3:observer", "server.*: there are no participants"),
        (
            "server.1=a:2:3\nserver.2=a:2:3:observer",
            "server.*: there are observers, and a single participant is no ensemble",
        ),
    ] {
        assert_eq!(wrong(text), says, "{text}");
    }
    let total = format!("group.1=1:2\nweight.1={0}\nweight.2={0}", i64::MAX);
    assert!(wrong(&total).starts_with("group.1: weights"));
    let alone = Rules { standalone: false, ..Rules::DEFAULT };
    assert!(Membership::parse("server.1=a:2:3\nserver.2=a:4:5:observer", &alone).is_ok());
    assert_eq!(Membership::parse("", &alone).unwrap_err().problem, Problem::NoParticipants);
    assert_eq!(Membership::parse("", &Rules::DEFAULT), Ok(Membership::default()));
}

#[test]
fn a_server_of_another_form_is_refused() {
    for spec in [
        "",
        "a",
        "[[a]:1:2",
        "[]:1:2",
        "a b:1:2",
        "a:1:2; b:3",
        "a:1",
        ":1:2",
        "[::1:1:2",
        "a:1:2:participant:3",
        "a:1:2;b:c:1",
        "a:1:2;1;2;3",
    ] {
        let error = Membership::parse(&format!("server.1={spec}"), &RULES).unwrap_err();
        let bad = matches!(error.problem, Problem::BadSpec(_) | Problem::BadPort(_));
        assert!(bad && error.key == "server.1", "{spec}: {error}");
    }
    let error = Membership::parse("server.1=a:1:2:observer|b:1:2:participant", &RULES);
    assert_eq!(error.unwrap_err().problem, Problem::MixedRoles);
}

#[test]
fn more_than_half_of_the_voters_are_a_quorum() {
    let four = read(
        "server.1=a:2:3\nserver.2=a:4:5\nserver.3=a:6:7\nserver.4=a:8:9\nserver.5=b:1:2:observer",
    );
    assert_eq!(four.voters().collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(four.observers().collect::<Vec<_>>(), [5]);
    assert!(four.is_quorum([1, 2, 4]));
    assert!(!four.is_quorum([1, 2, 2, 5, 6]));
    assert_eq!([1, 5, 6].map(|id| four.weight(id)), [1, 0, 0]);
    assert!(!Membership::default().is_quorum([1]));
}

#[test]
fn more_than_half_of_the_groups_are_a_quorum() {
    let groups = read(GROUPS);
    assert!(groups.has_groups());
    assert_eq!([1, 2, 5, 6].map(|id| groups.weight(id)), [3, 1, 0, 0]);
    // The third group weighs nothing, so that there are two, and both are needed.
    assert!(groups.is_quorum([1, 4]));
    assert!(!groups.is_quorum([1, 2, 3, 5]));
    assert!(!groups.is_quorum([2, 3, 4]));
    assert!(!groups.is_quorum([]));
    // An observer's weight counts in its group, and its word does not.
    let odd = read(
        "server.1=a:2:3\nserver.2=b:2:3\nserver.3=c:2:3:observer\n\
                    group.1=1:2:3\nweight.3=2",
    );
    assert!(!odd.is_quorum([1, 2, 3]));
}

#[test]
fn equality_has_the_versions_apart() {
    let three = read(THREE);
    let newer = three.clone().with_version(7);
    assert!(three != newer && three.has_same_members(&newer));
    let moved = read(&THREE.replace("a:2888", "x:2888"));
    assert!(!moved.has_same_members(&three));
    let same = |a: &Membership, b: &Membership, id| {
        a.server(id).unwrap().has_same_quorum_addresses(b.server(id).unwrap())
    };
    assert!(!same(&moved, &three, 1) && same(&moved, &three, 2));
    let client = read(&THREE.replace("2181", "2182"));
    assert!(!client.has_same_members(&three) && same(&client, &three, 1));
}

fn change(joining: &str, leaving: &str) -> Result<Membership, (i32, String)> {
    let next = read(THREE).with_joiners_leavers(Some(joining), Some(leaving), &Rules::DEFAULT);
    next.map_err(|error| (error.problem.error_code() as i32, error.to_string()))
}

#[test]
fn members_join_and_leave() {
    let next = change("server.4=d:2888:3888:observer;2181, server.2=b:5:6;b:7", "3, 9,").unwrap();
    assert_eq!(
        next.to_string(),
        "server.1=a:2888:3888:participant;0.0.0.0:2181\n\
         server.2=b:5:6:participant;b:7\n\
         server.4=d:2888:3888:observer;0.0.0.0:2181\n\
         version=100000000"
    );
    assert_eq!(next.server(4).unwrap().role(), Role::Observer);
    // Whoever leaves makes room for a joiner first.
    assert!(change("server.4=c:2888:3888;2181", "3").is_ok());
    assert_eq!(read(THREE).with_joiners_leavers(None, None, &RULES), Ok(read(THREE)));
}

#[test]
fn a_change_is_refused_with_the_code_that_the_reference_gives() {
    let taken = (-8, "joining: a:2888 is an address of server 1 already".to_owned());
    assert_eq!(change("server.4=a:2888:5;2181", ""), Err(taken.clone()));
    assert_eq!(change("server.4=d:1:2;A:2888", "").unwrap_err().0, -8);
    assert!(change("server.4=d:1:2;0.0.0.0:2181", "").is_ok());
    for (joining, leaving, code) in [
        ("server.4", "", -8),
        ("server.4=d:1:2=3;4", "", -8),
        ("server.4=d:1:2", "", -8),
        ("server.4=d:1;2181", "", -8),
        ("server.x=d:1:2;2181", "", -5),
        ("server.4=d:1:2;99999", "", -5),
        ("", "x", -5),
        ("", "2,3", -8),
    ] {
        assert_eq!(change(joining, leaving).unwrap_err().0, code, "{joining} {leaving}");
    }
    let groups = read(GROUPS).with_joiners_leavers(None, Some("1"), &RULES).unwrap_err();
    assert_eq!(groups.problem, Problem::HasGroups);
    let alone = Rules { standalone: false, ..RULES };
    assert!(read(THREE).with_joiners_leavers(None, Some("1,2"), &alone).is_ok());
    let none = read(THREE).with_joiners_leavers(None, Some("1,2,3"), &alone).unwrap_err();
    assert_eq!(none.problem, Problem::TooFewVoters { voters: 0, needed: 1 });
}

#[test]
fn all_members_are_replaced() {
    let next = Membership::from_new_members("server.1=a:1:2;3,server.2=b:1:2;3\n", &RULES);
    assert_eq!(next.unwrap().voters().count(), 2);
    let refused = |members: &str| {
        Membership::from_new_members(members, &RULES).unwrap_err().problem.error_code()
    };
    assert_eq!(refused(""), ErrorCode::BadArguments);
    assert_eq!(refused("server.1=a:1:2;3"), ErrorCode::BadArguments);
    assert_eq!(refused("client=1"), ErrorCode::BadArguments);
    assert_eq!(refused("server.1=a:1:2:observer"), ErrorCode::MarshallingError);
}

fn spec() -> impl Strategy<Value = String> {
    let host = prop_oneof!["[a-z]{1,5}", Just("[::1]".to_owned()), Just("10.0.0.7".to_owned())];
    let peer = (host, 0..9_u16, 10..20_u16);
    let role = proptest::sample::select(&["", ":participant"][..]);
    let client = proptest::sample::select(&["", ";2181", ";h:2181", ";;2182", ";1;[::]:2"][..]);
    (vec(peer, 1..3), role, client).prop_map(|(peers, role, client)| {
        let peers: Vec<String> =
            peers.iter().map(|(host, q, e)| format!("{host}:{q}:{e}{role}")).collect();
        format!("{}{client}", peers.join("|"))
    })
}

proptest! {
    #[test]
    fn texts_read_back(servers in btree_map(any::<i64>(), spec(), 0..20), grouped: bool) {
        let mut text: String =
            servers.iter().map(|(id, spec)| format!("server.{id}={spec}\n")).collect();
        if grouped {
            servers.keys().for_each(|id| text += &format!("group.{id}={id}\nweight.{id}=2\n"));
        }
        let membership = read(&text);
        let printed = membership.to_string();
        let again = read(&printed);
        prop_assert_eq!(&again, &membership);
        prop_assert_eq!(again.to_string(), printed);
        let mut rest = read(&membership.file_text()).with_version(membership.version());
        prop_assert_eq!(&rest, &membership);
        rest = rest.with_version(1);
        prop_assert!(rest.has_same_members(&membership));
    }

    #[test]
    fn two_quorums_have_a_voter_in_both(
        groups in vec(0..4_i64, 1..9),
        weights in vec(0..4_u8, 9),
        acks: [u16; 2],
    ) {
        let ids = 0..groups.len();
        let line = |id: usize| format!("server.{id}=a:1:2\nweight.{id}={}\n", weights[id]);
        let mut text: String = ids.clone().map(line).collect();
        for group in 0..4 {
            let members = ids.clone().filter(|id| groups[*id] == group);
            let members: Vec<String> = members.map(|id| id.to_string()).collect();
            if !members.is_empty() {
                text += &format!("group.{group}={}\n", members.join(":"));
            }
        }
        let membership = read(&text);
        let is_quorum = |acks: u16| membership.is_quorum_where(|id| acks >> id & 1 == 1);
        let [one, two] = acks;
        let all = (1 << groups.len()) - 1;
        prop_assert!(!is_quorum(one) || !is_quorum(two) || one & two & all != 0);
        prop_assert!(!is_quorum(one) || is_quorum(one | two), "more acks are no less");
        prop_assert_eq!(is_quorum(all), ids.into_iter().any(|id| weights[id] > 0));
    }
}
