//! Fresh session ids.

use base::{SessionId, WallTime};
use wire::CONTAINER_OWNER;

/// Gives ids that no session of this cluster has had: the server in the top byte, below it the
/// time of the start in ms, below that a count.
#[derive(Debug)]
pub struct SessionIds {
    next: i64,
}

impl SessionIds {
    /// Starts at `started`. Wall time, unlike the reference's monotonic clock, does not begin
    /// again when the machine does.
    #[must_use]
    pub fn new(server_id: u8, started: WallTime) -> SessionIds {
        let time = ((started.0 as u64) << 24) >> 8;
        let next = (time | u64::from(server_id) << 56) as i64;
        // The first id of server 128 at time 0 would be the mark of container nodes.
        SessionIds { next: if next == CONTAINER_OWNER { next + 1 } else { next } }
    }

    /// The next id that `taken` does not know.
    pub fn fresh(&mut self, mut taken: impl FnMut(SessionId) -> bool) -> SessionId {
        loop {
            let id = SessionId(self.next);
            self.next = self.next.wrapping_add(1);
            if id != SessionId::NONE && !taken(id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SessionIds;
    use base::{SessionId, WallTime};

    #[test]
    fn the_server_is_in_the_top_byte_and_taken_ids_are_skipped() {
        let mut ids = SessionIds::new(1, WallTime(0));
        assert_eq!(ids.fresh(|_| false), SessionId(0x0100_0000_0000_0000));
        assert_eq!(ids.fresh(|id| id.0 & 0xff == 1), SessionId(0x0100_0000_0000_0002));
        let mut ids = SessionIds::new(0x81, WallTime(1_700_000_000_000));
        assert_eq!((ids.fresh(|_| false).0 as u64) >> 56, 0x81);
    }
}
