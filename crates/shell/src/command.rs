//! What a command is: one row of the table, and the reading of a line by that row.

use crate::failure::Failure;
use crate::shell::Shell;
use std::pin::Pin;

/// What a handler gives back.
pub(crate) type Outcome<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// A command: its name, its arguments, its help and what it does.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// Its arguments, as the usage shows them.
    pub(crate) usage: &'static str,
    pub(crate) flags: &'static [Flag],
    /// How many words it takes besides flags.
    pub(crate) words: Words,
    /// One sentence.
    pub(crate) help: &'static str,
    /// Whether it can do nothing without a session.
    pub(crate) needs_session: bool,
    pub(crate) run: for<'a> fn(&'a mut Shell, &'a Parsed) -> Outcome<'a>,
}

/// How many words a command takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    least: usize,
    most: usize,
    /// Whether more than it uses are let pass, as zkCli does; the user is told.
    is_lenient: bool,
}

/// So many words, and no others.
pub(crate) const fn only(least: usize, most: usize) -> Words {
    Words { least, most, is_lenient: false }
}

/// So many words; what follows them is ignored.
pub(crate) const fn first(least: usize, most: usize) -> Words {
    Words { least, most, is_lenient: true }
}

/// A flag of a command.
#[derive(Debug)]
pub(crate) struct Flag {
    /// Without the dash.
    pub(crate) name: &'static str,
    /// What it takes, if anything.
    pub(crate) value: Option<&'static str>,
    pub(crate) help: &'static str,
}

/// A flag that is there or not.
pub(crate) const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag { name, value: None, help }
}

/// A flag with a value.
pub(crate) const fn value(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { name, value: Some(value), help }
}

/// A line by its command's row.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    flags: Vec<(&'static str, Option<String>)>,
    words: Vec<String>,
    /// Words that the command has no use for.
    pub(crate) ignored: Vec<String>,
}

impl Command {
    /// `name arguments`.
    pub(crate) fn usage_line(&self) -> String {
        let gap = if self.usage.is_empty() { "" } else { " " };
        format!("{}{gap}{}", self.name, self.usage)
    }

    /// Reads the words after the name, by the rules of zkCli's parser: flags may stand anywhere
    /// before a `--`, letters may share a dash, a value may stand right behind its flag or behind
    /// a `=`. A number is a word, also with a minus.
    ///
    /// # Errors
    /// [`Failure::Usage`].
    pub(crate) fn parse(&self, words: &[String]) -> Result<Parsed, Failure> {
        let mut parsed = Parsed::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                parsed.words.extend(words.by_ref().cloned());
                break;
            }
            match word.strip_prefix('-').filter(|text| !text.is_empty()) {
                Some(text) if self.flag(text).is_some() || text.parse::<f64>().is_err() => {
                    self.read_flags(text, &mut words, &mut parsed)?;
                }
                Some(_) | None => parsed.words.push(word.clone()),
            }
        }
        let Words { least, most, is_lenient } = self.words;
        if parsed.words.len() < least || (parsed.words.len() > most && !is_lenient) {
            return Err(Failure::Usage(None));
        }
        parsed.ignored = parsed.words.split_off(most.min(parsed.words.len()));
        Ok(parsed)
    }

    fn flag(&self, name: &str) -> Option<&'static Flag> {
        self.flags.iter().find(|flag| flag.name == name)
    }

    /// Reads what stands behind a dash, with the next word if a value is asked for there.
    fn read_flags(
        &self,
        text: &str,
        words: &mut std::slice::Iter<'_, String>,
        parsed: &mut Parsed,
    ) -> Result<(), Failure> {
        if let Some(flag) = self.flag(text) {
            return self.take(flag, None, words, parsed);
        }
        if let Some((name, value)) = text.split_once('=')
            && let Some(flag) = self.flag(name).filter(|flag| flag.value.is_some())
        {
            return self.take(flag, Some(value), words, parsed);
        }
        for (at, letter) in text.char_indices() {
            let after = &text[at + letter.len_utf8()..];
            let Some(flag) = self.flag(&text[at..at + letter.len_utf8()]) else {
                return Err(Failure::Usage(Some(format!("Unrecognized option: -{text}"))));
            };
            if flag.value.is_some() {
                let value = Some(after).filter(|after| !after.is_empty());
                return self.take(flag, value, words, parsed);
            }
            self.take(flag, None, words, parsed)?;
        }
        Ok(())
    }

    /// Keeps a flag, with its value if it has one.
    fn take(
        &self,
        flag: &'static Flag,
        value: Option<&str>,
        words: &mut std::slice::Iter<'_, String>,
        parsed: &mut Parsed,
    ) -> Result<(), Failure> {
        let value = match (flag.value, value) {
            (None, _) => None,
            (Some(_), Some(value)) => Some(value.to_owned()),
            (Some(_), None) => {
                let is_flag = |word: &String| {
                    word.strip_prefix('-').is_some_and(|name| self.flag(name).is_some())
                };
                let value = words.next().filter(|word| !is_flag(word)).cloned();
                Some(value.ok_or_else(|| {
                    Failure::Usage(Some(format!("Missing argument for option: {}", flag.name)))
                })?)
            }
        };
        parsed.flags.push((flag.name, value));
        Ok(())
    }
}

impl Parsed {
    /// Whether the flag is there.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|(name, _)| *name == flag)
    }

    /// The flag's value; the last one counts.
    pub(crate) fn value(&self, flag: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(name, _)| *name == flag)?.1.as_deref()
    }

    /// The flag's value as a number.
    ///
    /// # Errors
    /// [`Failure::Said`] with `complaint` if it is none.
    pub(crate) fn number<T: std::str::FromStr>(
        &self,
        flag: &str,
        complaint: &str,
    ) -> Result<Option<T>, Failure> {
        match self.value(flag).map(str::parse) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(Failure::Said(complaint.to_owned())),
        }
    }

    /// The word at that place, if there is one.
    pub(crate) fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(String::as_str)
    }

    /// The word at that place, which the table says is there.
    pub(crate) fn path(&self, at: usize) -> &str {
        self.word(at).unwrap_or("/")
    }
}

#[cfg(test)]
mod tests {
    use crate::failure::Failure;
    use crate::table;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn flags_may_stand_anywhere() {
        let command = table::find("deleteall").unwrap();
        for line in ["-b 5 /a", "/a -b 5"] {
            let parsed = command.parse(&words(line)).unwrap();
            assert_eq!(parsed.path(0), "/a");
            assert_eq!(parsed.number::<usize>("b", ""), Ok(Some(5)));
        }
        let set = table::find("set").unwrap();
        let parsed = set.parse(&words("/a -- -s")).unwrap();
        assert_eq!(parsed.word(1), Some("-s"));
        assert!(!parsed.has("s"));
        assert_eq!(set.parse(&words("/a -17")).unwrap().word(1), Some("-17"));
    }

    #[test]
    fn flags_may_share_a_dash_and_values_stand_behind_them() {
        let set = table::find("set").unwrap();
        for line in ["-sv5 /a x", "-s -v=5 /a x", "/a x -s -v 5", "-v5 -s /a x", "-sv 5 /a x"] {
            let parsed = set.parse(&words(line)).unwrap();
            assert!(parsed.has("s") && !parsed.has("b"), "{line}");
            assert_eq!(parsed.value("v"), Some("5"), "{line}");
            assert_eq!((parsed.word(0), parsed.word(1)), (Some("/a"), Some("x")), "{line}");
        }
        let reconfig = table::find("reconfig").unwrap();
        let parsed = reconfig.parse(&words("-add server.1=h:1:2;3 -remove=5")).unwrap();
        assert_eq!(parsed.value("add"), Some("server.1=h:1:2;3"));
        assert_eq!(parsed.value("remove"), Some("5"));
        assert_eq!(set.parse(&words("-v -1 /a x")).unwrap().value("v"), Some("-1"));
    }

    #[test]
    fn words_beyond_what_zkcli_uses_are_ignored_and_known() {
        let parsed = table::find("set").unwrap().parse(&words("/a b c d")).unwrap();
        assert_eq!(parsed.word(1), Some("b"));
        assert_eq!(parsed.ignored, ["c", "d"]);
        let tree = table::find("tree").unwrap();
        assert_eq!(tree.parse(&words("/a /b")), Err(Failure::Usage(None)));
    }

    #[test]
    fn what_the_row_does_not_name_is_refused() {
        let ls = table::find("ls").unwrap();
        assert!(matches!(ls.parse(&words("-q /")), Err(Failure::Usage(Some(_)))));
        assert!(matches!(ls.parse(&words("-sq /")), Err(Failure::Usage(Some(_)))));
        assert_eq!(ls.parse(&[]), Err(Failure::Usage(None)));
        let set = table::find("set").unwrap();
        for line in ["/a b -v", "/a b -v -s", "/a b -sv"] {
            assert!(matches!(set.parse(&words(line)), Err(Failure::Usage(Some(_)))), "{line}");
        }
    }
}
