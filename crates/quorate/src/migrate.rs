//! `quorate migrate`: a stopped member's data from one engine to another.

use crate::serve::{BAD_CONFIG, fail, read_file};
use clap::{Args, ValueEnum};
use config::{Config, Sources};
use server::{EngineKind, MigrationError, Moved, Stopped};
use std::path::PathBuf;
use std::process::ExitCode;

/// Move a stopped server's data to another engine: zab (ZooKeeper's files) or raft.
///
/// Tree, sessions and access lists stay. Stop all members of the ensemble first, and see with
/// --check that all print the same line; move them all, set engine= in their zoo.cfg, and start
/// them. Prints how the data stood that was moved.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// The server's zoo.cfg
    #[arg(value_name = "ZOO_CFG")]
    file: PathBuf,
    /// Where the data goes
    #[arg(long, value_enum, value_name = "ENGINE", required_unless_present = "check")]
    to: Option<To>,
    /// In place of this server's own data: a copy of another member's dataDir
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    from_data: Option<PathBuf>,
    /// Moves nothing, and prints how the data stands
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum To {
    Zab,
    Raft,
}

const AFTER_HELP: &str = "\
If lines of --check differ, take the data of the member that is furthest: by epoch, then zxid, of
engine=zab; by term, then index, of engine=raft. Copy its dataDir to the others (and what is in its
dataLogDir/version-2 into version-2 of the copy), and move with --from-data there.

The old data is set aside as version-2.moved-N, where no server looks.

Exit codes: 0 done, 1 failure (no data, corrupt data, another's data), 2 bad arguments or
configuration, 3 the server runs, or its data directory cannot be used";

/// Runs the command; results go to stdout, errors to stderr.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let config = match load(arguments) {
        Ok(config) => config,
        Err(text) => return fail(BAD_CONFIG, &text),
    };
    match perform(arguments, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.exit_code(), &error.to_string()),
    }
}

/// The file as of engine=raft, whatever it says: that engine knows more of a configuration.
fn load(arguments: &Arguments) -> Result<Config, String> {
    let name = arguments.file.to_string_lossy();
    let bytes = std::fs::read(&arguments.file).map_err(|error| format!("{name}: {error}"))?;
    let flags = std::env::var("SERVER_JVMFLAGS").unwrap_or_default();
    let sources = Sources::new().flags(&flags).file(&name, &bytes);
    let alone = sources.clone().config_with_files(&read_file).map_err(|e| e.to_string())?.config;
    if alone.ensemble.is_none() {
        return Ok(alone);
    }
    let sources = sources.option("engine", EngineKind::Raft.name());
    Ok(sources.config_with_files(&read_file).map_err(|errors| errors.to_string())?.config)
}

fn perform(arguments: &Arguments, config: Config) -> Result<(), MigrationError> {
    let stopped = Stopped::take(config)?;
    let to = match arguments.to {
        Some(to) if !arguments.check => to,
        Some(_) | None => {
            println!("{}", stopped.check()?);
            return Ok(());
        }
    };
    let to = match to {
        To::Zab => EngineKind::Zab,
        To::Raft => EngineKind::Raft,
    };
    let Moved { standing, set_aside } = stopped.migrate(to, arguments.from_data.as_deref())?;
    match standing {
        Some(standing) => println!("{standing}"),
        None => println!("an earlier call had moved the data; it is complete now"),
    }
    println!("moved to engine={to}: set that in {}", arguments.file.display());
    for place in set_aside {
        println!("the old data is in {}", place.display());
    }
    Ok(())
}
