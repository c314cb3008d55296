//! A member's epochs as the world knows them: what its disk holds, and what a start may find.

use base::NodeId;

/// The epochs that a member has promised and begun, and the history that the last one begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// Those that its disk is known to hold: promised, and begun.
    pub held: (i64, i64),
    /// The epoch that it wrote last, and the end of the log that had to be durable before.
    pub written: (i64, i64),
    /// What its disk said of that when its member died: a start may set it right by the log.
    pub stated: i64,
}

impl Epochs {
    /// Whether a start may have these, promised and begun, with this end of the log: none that the
    /// disk held is lost, and none is there without the history that was to be durable before it.
    /// An epoch that a start takes from the log, for it was not written yet, needs no more than
    /// what it has: that came in order behind the whole initial history.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn may_be(
        &self,
        node: NodeId,
        last: i64,
        (promised, begun): (i64, i64),
    ) -> Result<(), String> {
        let (node, (before, due)) = (node.0, self.held);
        if promised < before || begun < due {
            return Err(format!(
                "member {node} has {promised} and {begun}, not {before} and {due}"
            ));
        }
        let (epoch, tip) = self.written;
        let is_written = self.stated == epoch || last >> 32 < epoch;
        if begun == epoch && is_written && last < tip {
            return Err(format!("member {node} has epoch {epoch} and {last:#x}, not {tip:#x}"));
        }
        Ok(())
    }
}
