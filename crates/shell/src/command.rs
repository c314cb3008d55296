//! What a command is: one row of the table, and the reading of a line by that row.

use crate::failure::Failure;
use crate::shell::Shell;
use std::ops::RangeInclusive;
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
    pub(crate) words: RangeInclusive<usize>,
    /// One sentence.
    pub(crate) help: &'static str,
    /// Whether it can do nothing without a session.
    pub(crate) needs_session: bool,
    pub(crate) run: for<'a> fn(&'a mut Shell, &'a Parsed) -> Outcome<'a>,
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
}

impl Command {
    /// `name arguments`.
    pub(crate) fn usage_line(&self) -> String {
        let gap = if self.usage.is_empty() { "" } else { " " };
        format!("{}{gap}{}", self.name, self.usage)
    }

    /// Reads the words after the name; flags may stand anywhere before a `--`.
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
            let name = word.strip_prefix('-').filter(|name| !name.is_empty());
            let flag = name.and_then(|name| self.flags.iter().find(|flag| flag.name == name));
            match (name, flag) {
                (_, Some(flag)) => {
                    let value = match flag.value {
                        Some(_) => Some(words.next().cloned().ok_or_else(|| {
                            Failure::Usage(Some(format!("Missing argument for option: {word}")))
                        })?),
                        None => None,
                    };
                    parsed.flags.push((flag.name, value));
                }
                (Some(name), None) if name.parse::<f64>().is_err() => {
                    return Err(Failure::Usage(Some(format!("Unrecognized option: {word}"))));
                }
                (Some(_) | None, None) => parsed.words.push(word.clone()),
            }
        }
        if !self.words.contains(&parsed.words.len()) {
            return Err(Failure::Usage(None));
        }
        Ok(parsed)
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
    /// [`Failure::Usage`] with `complaint` if it is none.
    pub(crate) fn number<T: std::str::FromStr>(
        &self,
        flag: &str,
        complaint: &str,
    ) -> Result<Option<T>, Failure> {
        match self.value(flag).map(str::parse) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(Failure::Usage(Some(complaint.to_owned()))),
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
    fn what_the_row_does_not_name_is_refused() {
        let ls = table::find("ls").unwrap();
        assert!(matches!(ls.parse(&words("-q /")), Err(Failure::Usage(Some(_)))));
        assert_eq!(ls.parse(&words("/a watch too")), Err(Failure::Usage(None)));
        assert_eq!(ls.parse(&[]), Err(Failure::Usage(None)));
        let set = table::find("set").unwrap();
        assert!(matches!(set.parse(&words("/a b -v")), Err(Failure::Usage(Some(_)))));
    }
}
