//! The stream of requests that a workload's connections send.
//!
//! The layout under a run's root: `k########` are the keys, `d######/n##########` what connection d creates,
//! `dlist/n########` the children to list.

use crate::load::keys::Keys;
use crate::load::plan::{Kind, Load};
use crate::load::template::{Template, value};
use wire::xid;

/// What a connection's next request depends on.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// The connection's number, over all threads.
    pub(crate) number: u64,
    /// Nodes that it created.
    pub(crate) created: u64,
    /// Its place among the keys.
    pub(crate) cursor: u64,
}

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Traffic {
    kind: Kind,
    read_percent: u64,
    keys: Keys,
    get: Template,
    set: Template,
    other: Template,
    /// Reads the key 0 with a watch.
    pub(crate) arm: Template,
    /// Sets the key 0.
    pub(crate) fire: Template,
    pub(crate) ping: Template,
    pub(crate) close: Template,
}

/// The slot of what is sent but not counted.
pub(crate) const UNCOUNTED: u8 = u8::MAX;

impl Traffic {
    /// The requests of `load` on nodes under `root`.
    pub(crate) fn new(load: &Load, root: &str, seed: u64) -> Traffic {
        let data = value(load.value_size);
        let key = format!("{root}/k########");
        let first = format!("{root}/k00000000");
        let fresh = format!("{root}/d######/n##########");
        let other = match load.kind {
            Kind::Create => Template::create(&fresh, &data, 0),
            Kind::Sequential => Template::create(&format!("{root}/d######/n"), &data, 2),
            Kind::Exists => Template::exists(&key),
            Kind::Sync => Template::sync(&key),
            Kind::Multi => Template::multi_set(&key, &data, load.multi_size),
            Kind::Children => Template::children(&format!("{root}/dlist")),
            Kind::Get
            | Kind::Set
            | Kind::Mixed
            | Kind::Ping
            | Kind::Watch
            | Kind::Churn
            | Kind::Storm
            | Kind::Idle => Template::ping(),
        };
        Traffic {
            kind: load.kind,
            read_percent: load.read_percent,
            keys: Keys::new(load.keys, load.distribution, seed),
            get: Template::get(&key, false),
            set: Template::set(&key, &data),
            other,
            arm: Template::get(&first, true),
            fire: Template::set(&first, &data),
            ping: Template::ping(),
            close: Template::close(),
        }
    }

    /// Appends the next request of a steady workload; the xid that it carries and its slot.
    #[inline]
    pub(crate) fn next(&mut self, lane: &mut Lane, next_xid: i32, out: &mut Vec<u8>) -> (i32, u8) {
        let keys = &mut self.keys;
        match self.kind {
            Kind::Get => self.get.emit(next_xid, out, || keys.pick(&mut lane.cursor)),
            Kind::Set => self.set.emit(next_xid, out, || keys.pick(&mut lane.cursor)),
            Kind::Mixed if keys.percent(self.read_percent) => {
                self.get.emit(next_xid, out, || keys.pick(&mut lane.cursor));
            }
            Kind::Mixed => {
                self.set.emit(next_xid, out, || keys.pick(&mut lane.cursor));
                return (next_xid, 1);
            }
            Kind::Create | Kind::Sequential => {
                let mut numbers = [lane.number, lane.created].into_iter();
                lane.created += 1;
                self.other.emit(next_xid, out, || numbers.next().unwrap_or_default());
            }
            Kind::Exists | Kind::Sync | Kind::Multi | Kind::Children => {
                self.other.emit(next_xid, out, || keys.pick(&mut lane.cursor));
            }
            Kind::Ping | Kind::Watch | Kind::Churn | Kind::Storm | Kind::Idle => {
                self.ping.emit(xid::PING, out, || 0);
                return (xid::PING, 0);
            }
        }
        (next_xid, 0)
    }
}
