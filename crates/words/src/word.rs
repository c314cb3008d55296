//! The table of words, and who may ask them.

use std::collections::BTreeSet;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident $text:literal $serving:literal $help:literal,)*) => {
        /// A four-letter word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Word { $(#[doc = $help] $name,)* }

        impl Word {
            /// Every word.
            pub const ALL: &[Word] = &[$(Word::$name,)*];

            /// The four letters.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Word::$name => $text,)* }
            }

            /// Whether only a server that serves clients can answer.
            #[must_use]
            pub const fn needs_serving(self) -> bool {
                match self { $(Word::$name => $serving,)* }
            }

            /// What it is for, in a line.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Word::$name => $help,)* }
            }
        }
    };
}

words! {
    Conf "conf" true "The configuration in use.",
    Cons "cons" true "Every connection in full.",
    Crst "crst" true "Resets the connections' statistics.",
    Dirs "dirs" true "The sizes of the data and log directories.",
    Dump "dump" true "Sessions, ephemeral nodes and connections.",
    Envi "envi" false "The environment of the process.",
    Gtmk "gtmk" false "The trace mask.",
    Hash "hash" true "The digests of the tree at the last positions.",
    Isro "isro" false "Whether the server is read-only.",
    Mntr "mntr" true "Every metric.",
    Ruok "ruok" false "Whether the process answers.",
    Srst "srst" true "Resets the server's statistics.",
    Srvr "srvr" true "The server in short.",
    Stat "stat" true "The server in short, with its connections.",
    Stmk "stmk" false "Sets the trace mask.",
    Wchc "wchc" true "Watches by session.",
    Wchp "wchp" true "Watches by path.",
    Wchs "wchs" true "How many watches there are.",
}

/// What telnet sends when it is interrupted: no word and no length, the connection is closed.
pub const TELNET_INTERRUPT: [u8; 4] = [0xff, 0xf4, 0xff, 0xfd];

impl Word {
    /// The word that the first four bytes of a connection are; `None` if they are a length.
    #[must_use]
    pub fn parse(bytes: &[u8; 4]) -> Option<Word> {
        Word::ALL.iter().copied().find(|word| word.name().as_bytes() == bytes)
    }

    /// How many bytes follow the word: eight of the trace mask, a big-endian number.
    #[must_use]
    pub const fn argument_size(self) -> usize {
        if matches!(self, Word::Stmk) { 8 } else { 0 }
    }

    /// The answer to a word that is not in the whitelist.
    #[must_use]
    pub fn refusal(self) -> String {
        format!("{} is not executed because it is not in the whitelist.\n", self.name())
    }
}

/// The words that clients may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whitelist(BTreeSet<Word>);

impl Default for Whitelist {
    /// `srvr` alone, which scripts depend on.
    fn default() -> Self {
        Whitelist(BTreeSet::from([Word::Srvr]))
    }
}

impl Whitelist {
    /// The list that `4lw.commands.whitelist` holds: names with commas between, `*` for all.
    /// Unknown names are ignored, `srvr` is always in.
    #[must_use]
    pub fn parse(setting: &str) -> Whitelist {
        let mut list = Whitelist::default();
        for name in setting.split(',').map(str::trim) {
            list.0.extend(Word::ALL.iter().filter(|word| name == "*" || name == word.name()));
        }
        list
    }

    /// Adds a word: `isro` where read-only mode is enabled, for clients look for such servers.
    #[must_use]
    pub fn with(mut self, word: Word) -> Whitelist {
        self.0.insert(word);
        self
    }

    /// Whether clients may use the word.
    #[must_use]
    pub fn allows(&self, word: Word) -> bool {
        self.0.contains(&word)
    }
}

#[cfg(test)]
mod tests {
    use super::{TELNET_INTERRUPT, Whitelist, Word};

    fn allowed(list: &Whitelist) -> Vec<&'static str> {
        Word::ALL.iter().filter(|word| list.allows(**word)).map(|word| word.name()).collect()
    }

    #[test]
    fn words_are_known_by_their_bytes() {
        for word in Word::ALL {
            assert_eq!(Word::parse(word.name().as_bytes().try_into().unwrap()), Some(*word));
            assert!(word.help().ends_with('.'));
        }
        for bytes in [b"lsnp", b"RUOK", b"\0\0\0\x2c", &TELNET_INTERRUPT] {
            assert_eq!(Word::parse(bytes), None);
        }
        assert_eq!(Word::ALL.len(), 18);
    }

    #[test]
    fn the_whitelist_always_has_srvr() {
        assert_eq!(allowed(&Whitelist::default()), ["srvr"]);
        assert_eq!(allowed(&Whitelist::parse("")), ["srvr"]);
        assert_eq!(
            allowed(&Whitelist::parse(" stat, ruok,nope,,conf ")),
            ["conf", "ruok", "srvr", "stat"]
        );
        assert_eq!(allowed(&Whitelist::parse("mntr, *")).len(), Word::ALL.len());
        assert!(Whitelist::default().with(Word::Isro).allows(Word::Isro));
    }

    #[test]
    fn a_refusal_names_the_word() {
        assert_eq!(
            Word::Stat.refusal(),
            "stat is not executed because it is not in the whitelist.\n"
        );
    }
}
