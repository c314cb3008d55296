//! That the account of epochs bites.

use base::NodeId;
use sim::epochs::Epochs;

#[test]
fn no_epoch_is_lost_or_comes_before_its_history() {
    let mut epochs = Epochs { held: (3, 2), written: (3, 0x3_0000_000d), stated: 0 };
    let may = |epochs: Epochs, last, found| epochs.may_be(NodeId(1), last, found);
    assert!(may(epochs, 0x3_0000_000d, (3, 3)).is_ok());
    assert!(may(epochs, 0x2_0000_0005, (3, 2)).is_ok(), "it was not written yet");
    assert!(may(epochs, 0x2_0000_0005, (2, 2)).is_err(), "a promise is lost");
    assert!(may(epochs, 0x2_0000_0005, (3, 1)).is_err(), "an epoch is lost");
    assert!(may(epochs, 0x2_0000_0005, (3, 3)).is_err(), "it has nothing of the epoch");
    assert!(may(epochs, 0x3_0000_0008, (3, 3)).is_ok(), "the start took it from the log");
    epochs.stated = 3;
    assert!(may(epochs, 0x3_0000_0008, (3, 3)).is_err(), "it was written too early");
}
