//! The command line, as zkCli takes it: single dashes, then a command to run once.

use std::time::Duration;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// `host:port,.../chroot`.
    pub(crate) servers: String,
    /// The session time-out to ask for, and how long each request may take.
    pub(crate) timeout: Duration,
    /// Whether a server without a quorum is good enough.
    pub(crate) read_only: bool,
    /// Whether reads show all that was acknowledged before them.
    pub(crate) linearizable_reads: bool,
    /// Whether to wait for a session before the first command.
    pub(crate) wait_for_connection: bool,
    /// A file of client properties.
    pub(crate) client_configuration: Option<String>,
    /// The command to run once; empty for none.
    pub(crate) command: Vec<String>,
}

const SERVERS_DEFAULT: &str = "localhost:2181";
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

impl Options {
    /// Reads the words after `shell`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn parse(words: &[String]) -> Result<Options, String> {
        let mut options = Options {
            servers: SERVERS_DEFAULT.to_owned(),
            timeout: TIMEOUT_DEFAULT,
            read_only: false,
            linearizable_reads: false,
            wait_for_connection: false,
            client_configuration: None,
            command: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "-server" => options.servers = value()?,
                "-timeout" => {
                    let text = value()?;
                    let ms = text.parse().map_err(|_| format!("-timeout {text}: not in ms"))?;
                    options.timeout = Duration::from_millis(ms);
                }
                "-client-configuration" => options.client_configuration = Some(value()?),
                "-r" => options.read_only = true,
                "-linearizable" => options.linearizable_reads = true,
                "-waitforconnection" => options.wait_for_connection = true,
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option}"));
                }
                _ => {
                    options.command.push(word.clone());
                    options.command.extend(words.by_ref().cloned());
                }
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use std::time::Duration;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_come_before_the_command_and_keep_out_of_it() {
        let options = parse("-server h:1/c -timeout 500 -r ls -R /").unwrap();
        assert_eq!(options.servers, "h:1/c");
        assert_eq!(options.timeout, Duration::from_millis(500));
        assert!(options.read_only && !options.wait_for_connection);
        assert!(!options.linearizable_reads);
        assert_eq!(options.command, ["ls", "-R", "/"]);
        let options = parse("-linearizable -waitforconnection").unwrap();
        assert!(options.linearizable_reads);
        assert_eq!(options.servers, "localhost:2181");
        assert!(options.wait_for_connection && options.command.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["-server", "-timeout x", "-nosuch ls"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
