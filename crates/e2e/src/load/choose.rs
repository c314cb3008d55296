//! The random writes of a worker: most succeed, and every kind of failure has its share.

use super::model::Model;
use super::op::{ACCESS_LISTS, Op};
use crate::generate::Dialect;
use base::Rng;
use wire::OpCode;

/// Nodes of a worker at most, roughly: what is above is rather deleted than created.
const NODES: usize = 60;
/// The longest data in bytes.
const DATA_SIZE_MAX: u64 = 300;

/// The next write of a worker that expects its subtree to be `model` by then.
pub(super) fn write(
    rng: &mut Rng,
    model: &Model,
    numbers: &mut Vec<String>,
    dialect: Dialect,
) -> Op {
    match rng.below(100) {
        0..=5 => Op::Draw,
        6..=8 if !numbers.is_empty() => {
            let at = usize::try_from(rng.below(numbers.len() as u64)).unwrap_or(0);
            Op::Return(numbers.swap_remove(at))
        }
        9..=14 => {
            let path = path(rng, model);
            let acl = rng.below(ACCESS_LISTS as u64) as usize;
            let version = if rng.percent(90) { -1 } else { 7 };
            Op::SetAcl { path, acl, version }
        }
        15..=24 => multi(rng, model, dialect),
        _ => single(rng, model),
    }
}

fn multi(rng: &mut Rng, model: &Model, dialect: Dialect) -> Op {
    let mut trial = model.clone();
    let mut ops = Vec::new();
    for _ in 0..rng.between(1, 5) {
        let mut op = if rng.percent(20) { check(rng, &trial) } else { single(rng, &trial) };
        // Before 3.9 a create2 in a multi is a create, and no server reads it back from a log.
        if let Op::Create { op: op @ OpCode::Create2, .. } = &mut op
            && dialect == Dialect::Since38
        {
            *op = OpCode::Create;
        }
        // The trial need not know the session: it only makes later operations likely.
        trial.apply(&op, i64::MAX, None);
        ops.push(op);
    }
    Op::Multi(ops)
}

/// A write that may also stand in a multi.
fn single(rng: &mut Rng, model: &Model) -> Op {
    let crowded = model.paths().len() > NODES;
    match rng.below(100) {
        0..=34 if !crowded => create(rng, model),
        0..=54 => Op::Delete { path: victim(rng, model), version: version(rng) },
        _ => {
            let path = path(rng, model);
            let version =
                if rng.percent(80) { model.version(&path).unwrap_or(-1) } else { version(rng) };
            Op::Set { path, data: data(rng), version }
        }
    }
}

fn check(rng: &mut Rng, model: &Model) -> Op {
    let path = path(rng, model);
    let version = if rng.percent(80) { model.version(&path).unwrap_or(-1) } else { 99 };
    Op::Check { path, version }
}

fn create(rng: &mut Rng, model: &Model) -> Op {
    let (op, flags) = *rng.pick(&[
        (OpCode::Create, 0),
        (OpCode::Create2, 0),
        (OpCode::Create, 1),
        (OpCode::Create2, 1),
        (OpCode::Create, 2),
        (OpCode::Create2, 3),
        (OpCode::CreateContainer, 4),
        (OpCode::CreateTtl, 5),
        (OpCode::CreateTtl, 6),
    ]);
    let parent = path(rng, model);
    let parent = if parent.matches('/').count() > 3 { "/missing".to_owned() } else { parent };
    let name = if matches!(flags, 2 | 3 | 6) {
        (*rng.pick(&["s-", "t-"])).to_owned()
    } else {
        format!("n{}", rng.below(12))
    };
    let acl = rng.below(ACCESS_LISTS as u64) as usize;
    Op::Create { op, path: format!("{parent}/{name}"), data: data(rng), flags, acl }
}

/// Mostly a node that is there.
fn path(rng: &mut Rng, model: &Model) -> String {
    let path = (*rng.pick(&model.paths())).to_owned();
    if rng.percent(5) { format!("{path}/none") } else { path }
}

/// A node that may go: the worker's own one stays.
fn victim(rng: &mut Rng, model: &Model) -> String {
    let path = path(rng, model);
    if path.matches('/').count() == 1 { format!("{path}/none") } else { path }
}

fn version(rng: &mut Rng) -> i32 {
    *rng.pick(&[-1, -1, -1, 0, 1, 99])
}

fn data(rng: &mut Rng) -> Vec<u8> {
    let length = rng.below(DATA_SIZE_MAX);
    (0..length).map(|_| b'a' + (rng.below(26) as u8)).collect()
}
