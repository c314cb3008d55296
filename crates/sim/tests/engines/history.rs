//! That a state is sent and known again.

use base::Zxid;
use bytes::Bytes;
use sim::engines::State;

#[test]
fn a_state_is_recognised_however_it_is_cut() {
    let mut state = State::default();
    for at in 1..200 {
        state.apply(Zxid(at), &Bytes::from_static(b"item"), at % 2 == 0);
    }
    let mut bytes = state.encode().to_vec();
    let len = bytes.len();
    bytes.extend_from_slice(b"rest");
    for cut in 0..len {
        assert_eq!(State::decode(&bytes[..cut]), Ok(None), "{cut}");
    }
    assert_eq!(State::decode(&bytes), Ok(Some((state, len))));
    bytes[3] ^= 1;
    assert!(State::decode(&bytes).is_err());
}
