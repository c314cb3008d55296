//! Clients of a keeper: frames of any bytes, and well-formed requests in any order.

use crate::house::House;
use crate::requests::{Part, Request, Step};
use crate::trees;
use crate::txns::{Chunk, Chunks};
use arbitrary::{Arbitrary, Unstructured};
use std::time::Duration;
use wire::OpCode;

/// Frames of any bytes in any phase. The first byte chooses the tree and the configuration; then
/// come frames, each behind its length in two bytes, of the client that was last chosen, and
/// between them steps of the house.
pub(crate) fn connection(data: &[u8]) {
    let Some((options, data)) = data.split_first() else { return };
    let mut house = house(*options);
    let mut slot = 0;
    for chunk in Chunks(data).take(STEPS_MAX) {
        match chunk {
            Chunk::Bytes(frame) => house.send(slot, frame),
            Chunk::Mark(mark) => {
                let (step, with) = (mark >> 4, mark & 0xf);
                match step {
                    0 | 1 => slot = with,
                    2 => house.open(with),
                    3 => house.reconnect(with),
                    4 => house.steal(with, with >> 2),
                    5 => house.drop_connection(with),
                    6 => house.take(with),
                    7 | 8 => house.prepare(),
                    9 | 10 => house.deliver(usize::from(with) + 1),
                    11 => house.wait(Duration::from_secs(u64::from(with) * 2)),
                    12 => house.begin_snapshot(),
                    13 => house.walk_snapshot(usize::from(with) + 1),
                    14 => {
                        house.prepare();
                        house.deliver(usize::MAX);
                    }
                    _ => house.fail_disk(),
                }
            }
        }
    }
    house.settle();
}

/// Well-formed requests of several clients, and steps of the house between them.
pub(crate) fn session(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(options) = u8::arbitrary(&mut input) else { return };
    let mut house = house(options);
    house.open(0);
    house.open(1);
    let mut xid = 0;
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut input) else { break };
        match step {
            Step::Ask(slot, request) => {
                xid += 1;
                house.send(slot, &request.frame(xid));
            }
            Step::Open(slot) => {
                house.drop_connection(slot);
                house.open(slot);
            }
            Step::Reconnect(slot) => house.reconnect(slot),
            Step::Steal(slot, from) => house.steal(slot, from),
            Step::Drop(slot) => house.drop_connection(slot),
            Step::Take(slot) => house.take(slot),
            Step::Prepare => house.prepare(),
            Step::Deliver(count) => house.deliver(usize::from(count)),
            Step::Wait(seconds) => house.wait(Duration::from_secs(u64::from(seconds))),
            Step::BeginSnapshot => house.begin_snapshot(),
            Step::WalkSnapshot(nodes) => house.walk_snapshot(usize::from(nodes)),
        }
    }
    house.settle();
}

/// The body of a multi.
pub(crate) fn multi(data: &[u8]) {
    one_frame(OpCode::Multi, data);
}

/// The body of a multiRead.
pub(crate) fn multi_read(data: &[u8]) {
    one_frame(OpCode::MultiRead, data);
}

fn one_frame(op: OpCode, body: &[u8]) {
    let mut house = house(FILLED);
    house.open(0);
    let mut frame = Vec::new();
    jute::Writer::new(&mut frame).int(1).int(op.number());
    frame.extend_from_slice(body);
    house.send(0, &frame);
    house.send(0, &Request::One(crate::requests::Op::GetChildren, Part::default()).frame(2));
    house.settle();
}

fn house(options: u8) -> House {
    let tree = if options & FILLED == 0 { trees::empty() } else { trees::filled() };
    House::new(tree, |config| {
        config.enforce_quota = options & 2 != 0;
        config.reconfig_enabled = options & 4 != 0;
        config.close_session_txn = options & 8 == 0;
        config.auth.skip_acl = options & 16 != 0;
        config.throttled_op_wait = (options & 32 != 0).then_some(Duration::from_secs(3));
        config.reaper.never_used = (options & 64 != 0).then_some(Duration::from_secs(10));
        config.field_size_max = if options & 128 == 0 { 1 << 20 } else { 64 };
    })
}

/// The option that begins with some nodes.
const FILLED: u8 = 1;
/// Longer inputs only take longer.
const STEPS_MAX: usize = 2000;
