//! Line after line: from a terminal with editing, history and completion, or from a pipe without.
//!
//! A terminal is read on a thread of its own, so that the session and its watches live on while
//! somebody types. What comes from a pipe gets neither prompt nor banner.

use crate::completion::Completion;
use crate::shell::Shell;
use crate::show::{say, tell};
use quorate_client::Client;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;

/// Lines that the history file keeps.
const HISTORY_MAX: usize = 1000;
const HISTORY_FILE: &str = ".quorate_history";
/// A line that holds credentials is not kept.
const SECRET_COMMAND: &str = "addauth";

/// Reads and runs lines until the end; gives the last one's exit code.
pub(crate) async fn run(shell: &mut Shell) -> u8 {
    tell(&format!("Connecting to {}", shell.servers));
    let servers = shell.servers.clone();
    if let Err(failure) = shell.connect(&servers).await {
        shell.complain(&failure, None);
        return failure.exit_code();
    }
    if std::io::stdin().is_terminal() { from_terminal(shell).await } else { from_pipe(shell).await }
}

async fn from_pipe(shell: &mut Shell) -> u8 {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut code = 0;
    while !shell.is_over {
        match lines.next_line().await {
            Ok(Some(line)) => {
                let ran = shell.run_line(&line).await;
                code = exit_code(shell, code, ran);
            }
            Ok(None) => break,
            Err(error) => {
                shell.error(&format!("stdin: {error}"));
                return 1;
            }
        }
    }
    shell.disconnect().await;
    code
}

async fn from_terminal(shell: &mut Shell) -> u8 {
    say("Welcome to ZooKeeper!");
    let client = Arc::new(Mutex::new(shell.client().ok()));
    let completion = Completion {
        runtime: tokio::runtime::Handle::current(),
        client: Arc::clone(&client),
        has_colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let mut editor = match editor(completion) {
        Ok(editor) => editor,
        Err(error) => {
            shell.error(&format!("terminal: {error}"));
            return from_pipe(shell).await;
        }
    };
    if let Ok(mut printer) = editor.create_external_printer() {
        // A printer that fails has lost its terminal.
        shell.watching.write_by(Box::new(move |text| drop(printer.print(text + "\n"))));
    }
    let (prompts, waiting) = std::sync::mpsc::channel();
    let (typed, mut lines) = mpsc::channel(1);
    std::thread::spawn(move || type_lines(editor, &waiting, &typed));
    let mut code = 0;
    while !shell.is_over {
        let prompt = format!("[zk: {}({}) {}] ", shell.servers, shell.state(), shell.line_number());
        if prompts.send(prompt).is_err() {
            break;
        }
        let Some(line) = lines.recv().await else { break };
        tokio::select! {
            ran = shell.run_line(&line) => code = exit_code(shell, code, ran),
            _ = tokio::signal::ctrl_c() => tell("interrupted"),
        }
        remember(&client, shell.client().ok());
    }
    shell.disconnect().await;
    code
}

/// The exit code after a line: an empty line leaves it, and so does the one that ends the shell.
fn exit_code(shell: &Shell, before: u8, ran: Option<u8>) -> u8 {
    if shell.is_over { before } else { ran.unwrap_or(before) }
}

fn remember(place: &Mutex<Option<Client>>, client: Option<Client>) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = client;
}

fn editor(completion: Completion) -> rustyline::Result<Editor<Completion, FileHistory>> {
    let config = Config::builder().max_history_size(HISTORY_MAX)?.build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(completion));
    Ok(editor)
}

/// The thread of the terminal: a line for every prompt.
fn type_lines(
    mut editor: Editor<Completion, FileHistory>,
    prompts: &std::sync::mpsc::Receiver<String>,
    typed: &mpsc::Sender<String>,
) {
    let file = history_file();
    if let Some(file) = &file {
        // There is none before the first time.
        let _ = editor.load_history(file);
    }
    while let Ok(prompt) = prompts.recv() {
        let line = match editor.readline(&prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => String::new(),
            Err(_) => return,
        };
        if !line.trim().is_empty() && !line.trim_start().starts_with(SECRET_COMMAND) {
            // A history that cannot be kept is no reason to stop.
            let _ = editor.add_history_entry(line.as_str());
            if let Some(file) = &file {
                let _ = editor.append_history(file);
            }
        }
        if typed.blocking_send(line).is_err() {
            return;
        }
    }
}

fn history_file() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HOME")?).join(HISTORY_FILE))
}
