//! What a reconfiguration makes of a configuration: members join and leave, or all are replaced.
//!
//! These are the checks of the request that need the configuration alone, in the reference's
//! order. Left to the caller: that reconfiguration is enabled and none is under way, the version
//! that the client expects, that a quorum of the new members is synced, and the access list.
//! Source: `PrepRequestProcessor` of the reference. Deviations: hosts are compared as text, where
//! the reference compares what they resolve to; after members join, servers with ids from 8 on may
//! stand at another place of the text than in the reference, whose hash table has grown.

use super::address::Address;
use super::membership::{Membership, number};
use super::problem::{MembershipError, Problem, Rules};
use super::server::Server;

impl Membership {
    /// The configuration after some have left and then some have joined; a joiner with a member's
    /// id takes that one's place. `joining` holds `server.N=description`, `leaving` ids, both
    /// between commas. Ids that are no member's leave without a word. The version stays.
    ///
    /// # Errors
    /// What a client is told is the problem's [`Problem::error_code`].
    pub fn with_joiners_leavers(
        &self,
        joining: Option<&str>,
        leaving: Option<&str>,
        rules: &Rules,
    ) -> Result<Membership, MembershipError> {
        if self.has_groups() {
            return Err(Problem::HasGroups.of("joining and leaving"));
        }
        let mut next = self.clone();
        for id in items(leaving) {
            let id = number(id).map_err(|problem| problem.of("leaving"))?;
            next.servers.remove(&id);
        }
        for joiner in items(joining) {
            let server = next.joiner(joiner, rules).map_err(|problem| problem.of("joining"))?;
            next.servers.insert(server.id(), server);
        }
        next.check_voters(rules)?;
        Ok(next)
    }

    /// The configuration that replaces another: the text of one, with commas or line breaks
    /// between its lines. The version is the text's.
    ///
    /// # Errors
    /// What a client is told is the problem's [`Problem::error_code`].
    pub fn from_new_members(members: &str, rules: &Rules) -> Result<Membership, MembershipError> {
        let next = Membership::parse(&members.replace(',', "\n"), rules)?;
        next.check_voters(rules)?;
        Ok(next)
    }

    fn joiner(&self, text: &str, rules: &Rules) -> Result<Server, Problem> {
        let bad = || Problem::BadJoiner(text.to_owned());
        let mut parts = text.split('=').map(str::trim).filter(|part| !part.is_empty());
        let (key, spec) = parts.next().zip(parts.next()).ok_or_else(bad)?;
        if parts.next().is_some() {
            return Err(bad());
        }
        let id = number(key.rsplit('.').next().unwrap_or(key))?;
        let server = Server::parse(id, spec, rules)?;
        if server.client().is_none() && server.secure_client().is_none() {
            return Err(Problem::NoClientAddress);
        }
        for address in server.all_addresses().filter(is_of_one_machine) {
            let has_it = |other: &&Server| {
                other.id() != id && other.all_addresses().any(|its| its.is_same(&address))
            };
            if let Some(other) = self.servers().find(has_it) {
                return Err(Problem::AddressTaken { address: address.to_string(), of: other.id() });
            }
        }
        Ok(server)
    }

    fn check_voters(&self, rules: &Rules) -> Result<(), MembershipError> {
        let needed = if rules.standalone { 2 } else { 1 };
        let voters = self.voters().count();
        if voters < needed {
            return Err(Problem::TooFewVoters { voters, needed }.of("members"));
        }
        Ok(())
    }
}

/// Addresses that every machine has do not tell servers apart.
fn is_of_one_machine(address: &Address) -> bool {
    !address.is_wildcard() && !address.is_loopback()
}

/// What stands between the commas, but for what is empty.
fn items(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}
