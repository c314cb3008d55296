//! What the shell does by itself, and the session as a whole.

use crate::command::Parsed;
use crate::failure::Failure;
use crate::shell::Shell;
use crate::show::say;
use crate::table::{self, COMMANDS};

pub(crate) async fn connect(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let servers = parsed.word(0).unwrap_or(&shell.servers).to_owned();
    shell.connect(&servers).await
}

pub(crate) async fn close(shell: &mut Shell, _: &Parsed) -> Result<(), Failure> {
    shell.disconnect().await;
    Ok(())
}

pub(crate) async fn quit(shell: &mut Shell, _: &Parsed) -> Result<(), Failure> {
    shell.disconnect().await;
    shell.is_over = true;
    Ok(())
}

pub(crate) async fn history(shell: &mut Shell, _: &Parsed) -> Result<(), Failure> {
    shell.print_history();
    Ok(())
}

/// The shell puts the line that a redo names in its place; it is not run.
pub(crate) async fn redo(_: &mut Shell, _: &Parsed) -> Result<(), Failure> {
    Err(Failure::Said("No redoing redos".to_owned()))
}

pub(crate) async fn print_watches(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    match parsed.word(0) {
        None => {
            let state = if shell.watching.is_printing() { "on" } else { "off" };
            say(&format!("printwatches is {state}"));
        }
        Some(word) => shell.watching.print(word == "on"),
    }
    Ok(())
}

pub(crate) async fn version(_: &mut Shell, _: &Parsed) -> Result<(), Failure> {
    let (compatible, ours) = (words::COMPATIBLE_VERSION, env!("CARGO_PKG_VERSION"));
    say(&format!("ZooKeeper CLI version: {compatible}-quorate-{ours}"));
    Ok(())
}

pub(crate) async fn help(_: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let Some(name) = parsed.word(0) else {
        for command in COMMANDS {
            say(&format!("\t{}", command.usage_line()));
        }
        return Ok(());
    };
    let command = table::find(name).ok_or_else(|| Failure::UnknownCommand(name.to_owned()))?;
    say(&format!("{}\n{}", command.usage_line(), command.help));
    for flag in command.flags {
        let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
        say(&format!("  -{}{value}: {}", flag.name, flag.help));
    }
    Ok(())
}
