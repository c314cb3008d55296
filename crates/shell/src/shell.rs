//! The shell: a session, the history, and the running of one line.

use crate::command::Command;
use crate::failure::Failure;
use crate::options::Options;
use crate::show::{say, tell};
use crate::split;
use crate::table::{self, COMMANDS};
use crate::watching::Watching;
use quorate_client::{Client, State};
use std::io::IsTerminal;

/// How many lines of the history are listed.
const HISTORY_SHOWN: usize = 11;
/// What zkCli says above its list of commands.
const USAGE: &str = "ZooKeeper -server host:port -client-configuration properties-file cmd args";

/// Everything that a command can touch.
pub(crate) struct Shell {
    pub(crate) options: Options,
    /// What `connect` or the command line named.
    pub(crate) servers: String,
    client: Option<Client>,
    /// Every line, as it was typed; a redo leaves what it did.
    history: Vec<String>,
    pub(crate) watching: Watching,
    /// Whether lines come one after the other, and not one alone.
    pub(crate) is_interactive: bool,
    /// Set by `quit`.
    pub(crate) is_over: bool,
    has_colours: bool,
}

impl Shell {
    /// A shell without a session.
    pub(crate) fn new(options: Options, is_interactive: bool) -> Shell {
        Shell {
            servers: options.servers.clone(),
            options,
            client: None,
            history: Vec::new(),
            watching: Watching::default(),
            is_interactive,
            is_over: false,
            has_colours: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// Begins a session with `servers`, in place of the one that is.
    ///
    /// # Errors
    /// If it is no connect string, or, where that is waited for, if there is no session in time.
    pub(crate) async fn connect(&mut self, servers: &str) -> Result<(), Failure> {
        self.disconnect().await;
        let builder = Client::builder(servers)
            .session_timeout(self.options.timeout)
            .connect_timeout(self.options.timeout)
            .request_timeout(self.options.timeout)
            .read_only(self.options.read_only)
            .linearizable_reads(self.options.linearizable_reads);
        let client = if self.options.wait_for_connection {
            builder.connect().await
        } else {
            builder.start()
        };
        let client = client.map_err(|error| Failure::Said(format!("{servers}: {error}")))?;
        if self.is_interactive {
            self.watching.follow_session(&client);
        }
        servers.clone_into(&mut self.servers);
        self.client = Some(client);
        Ok(())
    }

    /// Ends the session, if there is one.
    pub(crate) async fn disconnect(&mut self) {
        if let Some(client) = self.client.take() {
            let end = tokio::time::timeout(self.options.timeout, client.close());
            // A server that does not answer ends the session by its time-out.
            let _ = end.await;
        }
    }

    /// The session.
    ///
    /// # Errors
    /// [`Failure::NotConnected`].
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        self.living().cloned().ok_or(Failure::NotConnected)
    }

    fn living(&self) -> Option<&Client> {
        self.client.as_ref().filter(|client| !client.status().state.is_final())
    }

    /// The session's state, as the prompt shows it.
    pub(crate) fn state(&self) -> &'static str {
        let Some(client) = &self.client else { return "CLOSED" };
        match client.status().state {
            State::Connecting | State::Suspended => "CONNECTING",
            State::Connected => "CONNECTED",
            State::ReadOnly => "CONNECTEDREADONLY",
            State::Expired | State::Closed => "CLOSED",
            State::AuthFailed => "AUTH_FAILED",
        }
    }

    /// The number that the next line has in the history.
    pub(crate) fn line_number(&self) -> usize {
        self.history.len()
    }

    /// Runs a line; gives the exit code that it stands for. An empty one does nothing.
    pub(crate) async fn run_line(&mut self, line: &str) -> Option<u8> {
        let words = split::split(line);
        if words.is_empty() {
            return None;
        }
        self.history.push(line.trim().to_owned());
        Some(self.run_words(&words).await)
    }

    /// Runs a command that is split into words; gives its exit code.
    pub(crate) async fn run_words(&mut self, words: &[String]) -> u8 {
        let outcome = match self.resolve(words) {
            Ok((command, words)) => self.run(command, &words).await.map_err(|f| (f, Some(command))),
            Err(failure) => Err((failure, None)),
        };
        match outcome {
            Ok(()) => 0,
            Err((failure, command)) => {
                self.complain(&failure, command);
                failure.exit_code()
            }
        }
    }

    /// The command that a line names, and its arguments; a redo stands for the line that it names.
    fn resolve(&mut self, words: &[String]) -> Result<(&'static Command, Vec<String>), Failure> {
        let unknown = |name: &str| Failure::UnknownCommand(name.to_owned());
        let (name, rest) = words.split_first().ok_or_else(|| unknown(""))?;
        let command = table::find(name).ok_or_else(|| unknown(name))?;
        if command.name != "redo" {
            return Ok((command, rest.to_vec()));
        }
        let number =
            command.parse(rest).ok().and_then(|parsed| parsed.path(0).parse::<usize>().ok());
        // The redo itself is the last line.
        let past = self.history.len().saturating_sub(1);
        let line = number.filter(|number| *number < past).and_then(|at| self.history.get(at));
        let out_of_range = || Failure::Said("Command index out of range".to_owned());
        let line = line.cloned().ok_or_else(out_of_range)?;
        if let Some(last) = self.history.last_mut() {
            last.clone_from(&line);
        }
        let words = split::split(&line);
        let (name, rest) = words.split_first().ok_or_else(|| unknown(""))?;
        let command = table::find(name).ok_or_else(|| unknown(name))?;
        if command.name == "redo" {
            return Err(Failure::Said("No redoing redos".to_owned()));
        }
        Ok((command, rest.to_vec()))
    }

    async fn run(&mut self, command: &'static Command, words: &[String]) -> Result<(), Failure> {
        if command.needs_session && self.living().is_none() {
            return Err(Failure::NotConnected);
        }
        let parsed = command.parse(words)?;
        if !parsed.ignored.is_empty() {
            tell(&format!("ignored: {}", parsed.ignored.join(" ")));
        }
        (command.run)(self, &parsed).await?;
        // What the shell does by itself it does without a session, too, and says so behind it.
        if self.is_interactive && !command.needs_session && !self.is_over && self.living().is_none()
        {
            return Err(Failure::NotConnected);
        }
        Ok(())
    }

    /// Says why a command failed, and how it is used if that is why.
    pub(crate) fn complain(&self, failure: &Failure, command: Option<&'static Command>) {
        if let Failure::UnknownCommand(_) = failure {
            tell(USAGE);
            COMMANDS.iter().for_each(|command| tell(&format!("\t{}", command.usage_line())));
        }
        if let Some(text) = failure.text() {
            self.error(&text);
        }
        if let (Failure::Usage(_), Some(command)) = (failure, command) {
            tell(&command.usage_line());
        }
    }

    /// Says what went wrong.
    pub(crate) fn error(&self, text: &str) {
        if self.has_colours {
            tell(&format!("\x1b[31m{text}\x1b[0m"));
        } else {
            tell(text);
        }
    }

    /// Lists the last lines.
    pub(crate) fn print_history(&self) {
        let first = self.history.len().saturating_sub(HISTORY_SHOWN);
        for (number, line) in self.history.iter().enumerate().skip(first) {
            say(&format!("{number} - {line}"));
        }
    }
}
