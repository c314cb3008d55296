//! A tree as a stream between members.

use crate::trees::{self, CONFIG};
use base::Zxid;
use bytes::Bytes;
use node::{SnapshotError, SnapshotProgress, SnapshotReceiver, SnapshotSender};
use tree::Tree;

/// A stream behind a byte that says how large the pieces are that it comes in. However it is cut,
/// the outcome is the same; what is a tree is sent on as the same tree.
pub(crate) fn snapshot_stream(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let whole = receive(stream, usize::MAX);
    let pieces = receive(stream, usize::from(*size).max(1));
    let (whole, pieces) = match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => (whole, pieces),
        (Err(whole), Err(pieces)) => return assert_eq!(whole, pieces),
        _ => panic!("it matters how a stream is cut"),
    };
    let (Some((tree, rest)), Some((other, other_rest))) = (whole, pieces) else { return };
    trees::same(&tree, &other);
    assert_eq!(rest, other_rest);
    trees::check(&tree);
    let mut sender = SnapshotSender::new(&tree);
    let mut sent = Vec::new();
    while let Some(chunk) = sender.next_chunk(&tree, 1000) {
        sent.extend_from_slice(&chunk);
    }
    assert!(sender.is_complete());
    let (copy, rest) = receive(&sent, 50).expect("it is well-formed").expect("and whole");
    assert_eq!(rest, 0);
    trees::same(&tree, &copy);
}

/// The tree, and how many bytes were behind it; `None` if it was not all there.
fn receive(stream: &[u8], piece_size: usize) -> Result<Option<(Tree, usize)>, SnapshotError> {
    let mut receiver = SnapshotReceiver::new(CONFIG, Zxid(5));
    let mut left = stream.len();
    for piece in stream.chunks(piece_size) {
        left -= piece.len();
        if let SnapshotProgress::Done { tree, rest } =
            receiver.feed(Bytes::copy_from_slice(piece))?
        {
            return Ok(Some((*tree, rest.len() + left)));
        }
    }
    Ok(None)
}
