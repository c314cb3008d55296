//! Four-letter words and the list of those that are allowed.

use ::words::{Whitelist, Word};

/// The bytes as the head of a connection, and as the setting of the list.
pub(crate) fn word(data: &[u8]) {
    if let Some(head) = data.first_chunk::<4>()
        && let Some(word) = Word::parse(head)
    {
        assert_eq!(word.name().as_bytes(), head);
        assert!(word.refusal().starts_with(word.name()));
        assert!(word.argument_size() <= 8);
    }
    let setting = String::from_utf8_lossy(data);
    let list = Whitelist::parse(&setting);
    assert!(list.allows(Word::Srvr), "it is always allowed");
    for word in Word::ALL {
        let is_named = setting.contains('*') || setting.contains(word.name());
        assert!(is_named || *word == Word::Srvr || !list.allows(*word));
        assert!(list.clone().with(*word).allows(*word));
    }
}
