//! Frames of client streams: how the bytes arrive makes no difference to what is cut.

use keeper::{Frame, FrameError, Frames};

const PAYLOAD_SIZE_MAX: usize = 4096;

/// Cuts the stream whole and then byte by byte; both must agree.
pub(crate) fn frames(data: &[u8]) {
    assert_eq!(cut(data, data.len().max(1)), cut(data, 1));
}

/// The payloads, and what ended the stream. `step` is how many bytes arrive at a time.
fn cut(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Result<Frame, FrameError>) {
    let mut frames = Frames::new(PAYLOAD_SIZE_MAX);
    let (mut payloads, mut start, mut arrived) = (Vec::new(), 0, 0);
    loop {
        let bytes = &stream[start..arrived];
        let next = frames.next(bytes, |head| ::words::Word::parse(&head).is_some());
        match &next {
            Ok(Frame::Payload(range)) => {
                assert!(range.start == 4 && !range.is_empty() && range.len() <= PAYLOAD_SIZE_MAX);
                payloads.push(bytes[range.clone()].to_vec());
                start += range.end;
            }
            Ok(Frame::Incomplete { needed }) => {
                assert!(*needed > bytes.len() && *needed <= 4 + PAYLOAD_SIZE_MAX);
                if arrived == stream.len() {
                    return (payloads, next);
                }
                arrived = (arrived + step).min(stream.len());
            }
            Ok(Frame::Word(_)) => {
                assert_eq!(start, 0, "a word comes first or not at all");
                return (payloads, next);
            }
            Err(FrameError { length }) => {
                assert!(*length <= 0 || *length as usize > PAYLOAD_SIZE_MAX);
                return (payloads, next);
            }
        }
    }
}
