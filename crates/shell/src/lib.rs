//! `quorate shell`: an interactive and one-shot client, with zkCli's commands, flags and output.
//!
//! One table of commands yields their parsing, their usage, their help and their completion.
//! Results go to stdout, errors and notices to stderr; the exit code is 0, 1 for a failure, 127 for
//! an unknown command, 2 for bad options.

mod command;
mod commands;
mod completion;
mod failure;
mod interactive;
mod options;
mod shell;
mod show;
mod split;
mod subtree;
mod table;
mod watching;

use clap::Args;
use options::Options;
use shell::Shell;
use std::process::ExitCode;

/// Talk to a server: zkCli's commands, once or interactively.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// [-server host:port,.../chroot] [-timeout ms] [-r] [-linearizable] [-waitforconnection]
    /// [-client-configuration file] [command arguments...]
    #[arg(value_name = "OPTIONS AND COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

const AFTER_HELP: &str = "\
Options have one dash, as zkCli's:
  -server HOSTS              host:port,.../chroot [default: localhost:2181]
  -timeout MS                session time-out, and longest wait for an answer [default: 30000]
  -r                         take servers that have lost their quorum, for reads
  -linearizable              reads show all that was acknowledged before; Quorate's servers only
  -waitforconnection         wait for a session before the first command
  -client-configuration FILE properties of the client

`quorate shell help` lists the commands. Exit codes: 0, 1 failure, 2 bad options, 127 unknown command";

const BAD_OPTIONS: u8 = 2;

/// Runs the shell: one command if the words have one, else line after line from stdin.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let options = match Options::parse(&arguments.words) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("quorate: {text}; quorate shell --help lists the options");
            return ExitCode::from(BAD_OPTIONS);
        }
    };
    if let Some(text) = options.client_configuration.as_deref().and_then(complaint) {
        eprintln!("quorate: {text}");
        return ExitCode::from(BAD_OPTIONS);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("quorate: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run_with(options));
    // Stdin may still be read on a thread that nothing wakes.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn run_with(options: Options) -> u8 {
    let words = options.command.clone();
    let mut shell = Shell::new(options, words.is_empty());
    if words.is_empty() {
        return interactive::run(&mut shell).await;
    }
    let needs_session = table::find(&words[0]).is_some_and(|command| command.needs_session);
    let servers = shell.servers.clone();
    if needs_session && let Err(failure) = shell.connect(&servers).await {
        shell.complain(&failure, None);
        return failure.exit_code();
    }
    let code = shell.run_words(&words).await;
    shell.disconnect().await;
    code
}

/// Why a file of client properties cannot be followed: what it asks for is not there yet.
fn complaint(path: &str) -> Option<String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return Some(format!("{path}: {error}")),
    };
    let asked = text.lines().filter_map(|line| line.split_once('=')).find(|(key, value)| {
        let key = key.trim();
        (key == "zookeeper.client.secure" || key == "zookeeper.sasl.client")
            && value.trim() == "true"
    });
    asked.map(|(key, _)| format!("{path}: {} is not supported by this client", key.trim()))
}
