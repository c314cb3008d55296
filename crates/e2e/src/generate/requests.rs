//! Requests by weight, and multis.
//!
//! Left out on purpose are inputs whose handling by the reference is a defect (COMPAT.md, "not
//! copied"): createTTL and containers with the flags of another kind, deleteContainer and
//! createSession from a client, and bodies of single writes that end early.

use super::{Dialect, Generator};
use crate::program::{Request, Value};
use wire::OpCode;

type Make = fn(&mut Generator) -> Request;

/// Requests of bursts, with their weights.
const BURST: &[(u64, Make)] = &[
    (14, Generator::create),
    (8, Generator::create2),
    (3, Generator::create_container),
    (4, Generator::create_ttl),
    (10, Generator::delete),
    (10, Generator::set_data),
    (3, Generator::set_acl),
    (10, Generator::multi),
    (3, Generator::multi_read),
    (1, Generator::reconfig),
    (8, |g| g.watching(OpCode::Exists)),
    (8, |g| g.watching(OpCode::GetData)),
    (4, |g| g.watching(OpCode::GetChildren)),
    (5, |g| g.watching(OpCode::GetChildren2)),
    (4, |g| g.on_path(OpCode::GetAcl)),
    (2, |g| g.on_path(OpCode::Sync)),
    (1, |_| Request::new(OpCode::Ping, Vec::new())),
    (2, |g| g.on_path(OpCode::GetEphemerals)),
    (2, |g| g.on_path(OpCode::GetAllChildrenNumber)),
    (1, |_| Request::new(OpCode::WhoAmI, Vec::new())),
    (4, Generator::add_watch),
    (2, |g| g.on_watches(OpCode::CheckWatches)),
    (2, |g| g.on_watches(OpCode::RemoveWatches)),
    (2, Generator::set_watches),
    (2, Generator::cut),
];
/// Numbers of kinds of watches. Of the good ones 3.8 does not know the last two, and it finds the
/// others if any client has such a watch.
const WATCHER_TYPES: &[i32] = &[0, 6, -1, 1, 2, 3, 3, 4, 5];
/// Operations of multis, with their weights.
const IN_MULTI: &[(u64, Make)] = &[
    (6, Generator::create),
    (4, Generator::create2),
    (1, Generator::create_container),
    (1, Generator::create_ttl),
    (5, Generator::delete),
    (5, Generator::set_data),
    (5, Generator::check),
];
/// What is not allowed in a multi.
const NOT_IN_MULTI: &[(u64, Make)] = &[
    (1, |g| g.watching(OpCode::GetData)),
    (1, |g| g.on_path(OpCode::Sync)),
    (1, Generator::set_acl),
    (1, |g| Request { op: 999, ..g.delete() }),
    (1, |g| Request { op: -11, ..g.delete() }),
];
/// Requests that may end early without leaving a mark in the log: reads, and a multi, whose
/// zxid the reference does allocate.
const CUT: &[(u64, Make)] = &[
    (2, |g| g.watching(OpCode::GetData)),
    (2, |g| g.watching(OpCode::Exists)),
    (2, |g| g.watching(OpCode::GetChildren2)),
    (1, |g| g.on_path(OpCode::GetAcl)),
    (1, |g| g.on_path(OpCode::Sync)),
    (1, |g| g.on_path(OpCode::GetEphemerals)),
    (1, |g| g.on_path(OpCode::GetAllChildrenNumber)),
    (1, |g| g.with_number(OpCode::AddWatch, &[2])),
    (1, |g| g.with_number(OpCode::RemoveWatches, &[1])),
    (2, Generator::set_watches),
    (2, Generator::multi_read),
    (2, Generator::multi),
];

impl Generator {
    fn weighted(&mut self, table: &[(u64, Make)]) -> Request {
        let total = table.iter().map(|(weight, _)| weight).sum();
        let mut left = self.rng.below(total);
        for (weight, make) in table {
            if left < *weight {
                return make(self);
            }
            left -= weight;
        }
        unreachable!("a number below the sum of the weights falls into one of them")
    }

    /// A request for the middle of a burst.
    pub(super) fn request(&mut self) -> Request {
        self.weighted(BURST)
    }

    fn create(&mut self) -> Request {
        self.create_plain(OpCode::Create)
    }

    fn create2(&mut self) -> Request {
        self.create_plain(OpCode::Create2)
    }

    fn create_plain(&mut self, op: OpCode) -> Request {
        let flags = *self.rng.pick(&[0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 5, 7, -1]);
        self.create_with(op, flags, None)
    }

    fn create_container(&mut self) -> Request {
        let flags = *self.rng.pick(&[4, 4, 4, 4, 0, 7]);
        self.create_with(OpCode::CreateContainer, flags, None)
    }

    fn create_ttl(&mut self) -> Request {
        let (flags, ttl) = *self.rng.pick(&[
            (5, 3_600_000),
            (5, 1_099_511_627_775),
            (6, 7_200_000),
            (5, 1_099_511_627_776),
            (5, 0),
            (5, -1),
            (6, i64::MAX),
            (0, 3_600_000),
            (1, 0),
            (9, 3_600_000),
        ]);
        self.create_with(OpCode::CreateTtl, flags, Some(ttl))
    }

    fn create_with(&mut self, op: OpCode, flags: i32, ttl: Option<i64>) -> Request {
        let sequential = matches!(flags, 2 | 3 | 6);
        let path =
            if sequential && self.rng.percent(90) { self.prefix() } else { self.path_to_write() };
        let data = self.data_for(&path);
        let mut values = vec![path, data];
        values.extend(self.acl());
        values.push(Value::Int(flags));
        values.extend(ttl.map(Value::Long));
        Request::new(op, values)
    }

    fn delete(&mut self) -> Request {
        let values = vec![self.path_to_write(), self.version()];
        Request::new(OpCode::Delete, values)
    }

    fn check(&mut self) -> Request {
        let values = vec![self.path(), self.version()];
        Request::new(OpCode::Check, values)
    }

    fn set_data(&mut self) -> Request {
        let path = self.path_to_write();
        let data = self.data_for(&path);
        Request::new(OpCode::SetData, vec![path, data, self.version()])
    }

    fn set_acl(&mut self) -> Request {
        let mut values = vec![self.path_to_write()];
        values.extend(self.acl());
        values.push(self.version());
        Request::new(OpCode::SetAcl, values)
    }

    fn reconfig(&mut self) -> Request {
        let members = || Value::Text("server.2=127.0.0.1:1:2;3".to_owned());
        let values = vec![members(), Value::Null, Value::Null, Value::Long(-1)];
        Request::new(OpCode::Reconfig, values)
    }

    fn watching(&mut self, op: OpCode) -> Request {
        let values = vec![self.path(), Value::Bool(self.rng.percent(60))];
        Request::new(op, values)
    }

    fn on_path(&mut self, op: OpCode) -> Request {
        let values = vec![self.path()];
        Request::new(op, values)
    }

    fn with_number(&mut self, op: OpCode, numbers: &[i32]) -> Request {
        let values = vec![self.path(), Value::Int(*self.rng.pick(numbers))];
        Request::new(op, values)
    }

    /// 3.8 keeps one kind of watch per path and client, 3.9 all kinds side by side.
    fn add_watch(&mut self) -> Request {
        const MODES: &[i32] = &[2, -1, 0, 0, 0, 1, 1, 1];
        let known = if self.dialect == Dialect::Since38 { 2 } else { MODES.len() };
        self.with_number(OpCode::AddWatch, &MODES[..known])
    }

    fn on_watches(&mut self, op: OpCode) -> Request {
        let unknown = if self.dialect == Dialect::Since38 { 6 } else { 0 };
        self.with_number(op, &WATCHER_TYPES[..WATCHER_TYPES.len() - unknown])
    }

    /// Watches as a client sets them again after a reconnect.
    pub(super) fn set_watches(&mut self) -> Request {
        let offset = *self.rng.pick(&[0, 0, -1, -3, -10, -100, 50]);
        let mut values = vec![match self.rng.below(12) {
            0 => Value::Long(0),
            1 => Value::Long(i64::MAX),
            2 => Value::Long(-1),
            _ => Value::Zxid(offset),
        }];
        let (op, lists) = *self.rng.pick(&[(OpCode::SetWatches, 3), (OpCode::SetWatches2, 5)]);
        for list in 0..lists {
            let empty = list >= 3 && self.dialect == Dialect::Since38;
            values.extend(if empty { vec![Value::Int(0)] } else { self.paths() });
        }
        Request::new(op, values).with_xid(wire::xid::SET_WATCHES)
    }

    fn multi(&mut self) -> Request {
        let count = self.rng.below(6);
        let mut operations: Vec<Request> = (0..count).map(|_| self.weighted(IN_MULTI)).collect();
        operations.retain(|operation| self.is_common_in_multi(operation));
        let count = operations.len() as u64;
        if self.rng.one_in(15) {
            let at = self.rng.below(count + 1) as usize;
            operations.insert(at, self.weighted(NOT_IN_MULTI));
        }
        Request::new(OpCode::Multi, vec![Value::Operations(operations)])
    }

    /// Whether the servers agree on an operation of a multi. A createTTL without a mode of that kind
    /// makes a plain node there, and 3.9 fails over a null access list before it has a zxid: both are
    /// defects that are not copied. 3.8 answers other creates as plain ones, and finds bad flags later.
    fn is_common_in_multi(&self, operation: &Request) -> bool {
        let null_list = operation.values.get(2) == Some(&Value::Null);
        if null_list {
            return false;
        }
        match operation.opcode() {
            Some(OpCode::CreateTtl) => {
                self.dialect == Dialect::Since39
                    && matches!(operation.values.iter().nth_back(1), Some(Value::Int(5..)))
            }
            Some(OpCode::Create2 | OpCode::CreateContainer) if self.dialect == Dialect::Since38 => {
                false
            }
            Some(_) | None => {
                self.dialect == Dialect::Since39 || !super::has_foreign_flags(operation)
            }
        }
    }

    fn multi_read(&mut self) -> Request {
        let count = self.rng.below(5);
        let mut operations: Vec<Request> = (0..count)
            .map(|_| {
                let op = *self.rng.pick(&[OpCode::GetData, OpCode::GetChildren]);
                self.watching(op)
            })
            .collect();
        if self.rng.one_in(10) {
            let write = self.weighted(IN_MULTI);
            operations.extend(self.is_common_in_multi(&write).then_some(write));
        }
        Request::new(OpCode::MultiRead, vec![Value::Operations(operations)])
    }

    fn cut(&mut self) -> Request {
        let mut request = self.weighted(CUT);
        request.cut = self.rng.between(1, 12) as usize;
        request
    }
}
