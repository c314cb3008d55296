//! From a word to its answer: asks the server for the facts of that word, and no others.

use base::Zxid;

use crate::{
    Conf, Connection, DirectorySizes, Dump, Environment, Mode, Server, Stat, WatchesByPath,
    WatchesBySession, WatchesSummary, Word,
};

/// The answer of a server that serves nobody, to most words.
pub const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// What a server can be asked. Each method copies its facts and lets go of every lock.
pub trait Source {
    /// What it is, or `None` while it does not serve clients.
    fn mode(&self) -> Option<Mode>;
    /// The facts of `srvr`.
    fn server(&self) -> Server;
    /// Every open connection.
    fn connections(&self) -> Vec<Connection>;
    /// The configuration in use.
    fn conf(&self) -> Conf;
    /// The sizes of its directories.
    fn directory_sizes(&self) -> DirectorySizes;
    /// Sessions, ephemeral nodes and connections.
    fn dump(&self) -> Dump;
    /// The process and its machine.
    fn environment(&self) -> Environment;
    /// The last digests of the tree, the oldest first.
    fn digests(&self) -> Vec<(Zxid, i64)>;
    /// The text of `mntr`: see [`metrics::mntr`].
    fn metrics(&self) -> String;
    /// How many watches there are.
    fn watches_summary(&self) -> WatchesSummary;
    /// Watches by session.
    fn watches_by_session(&self) -> WatchesBySession;
    /// Watches by path.
    fn watches_by_path(&self) -> WatchesByPath;
    /// The trace mask.
    fn trace_mask(&self) -> i64;
    /// Changes the trace mask.
    fn set_trace_mask(&mut self, mask: i64);
    /// Forgets what the connections counted.
    fn reset_connections(&mut self);
    /// Forgets what the server counted: traffic, proposal sizes and metrics.
    fn reset_server(&mut self);
}

/// The answer to a word that the whitelist allows. `argument` is what followed it, of
/// [`Word::argument_size`] bytes; less counts as zeros in front.
pub fn answer(word: Word, argument: &[u8], source: &mut impl Source) -> String {
    if word.needs_serving() && source.mode().is_none() {
        let newline = if word == Word::Hash { "" } else { "\n" };
        return format!("{NOT_SERVING}{newline}");
    }
    match word {
        Word::Conf => source.conf().to_string(),
        Word::Cons => cons(&source.connections()),
        Word::Crst => {
            source.reset_connections();
            "Connection stats reset.\n".to_owned()
        }
        Word::Dirs => source.directory_sizes().to_string(),
        Word::Dump => source.dump().to_string(),
        Word::Envi => source.environment().to_string(),
        Word::Gtmk => source.trace_mask().to_string(),
        Word::Hash => hash(&source.digests()),
        Word::Isro => isro(source.mode()).to_owned(),
        Word::Mntr => source.metrics(),
        Word::Ruok => "imok".to_owned(),
        Word::Srst => {
            source.reset_server();
            "Server stats reset.\n".to_owned()
        }
        Word::Srvr => source.server().to_string(),
        Word::Stat => {
            Stat { server: source.server(), connections: source.connections() }.to_string()
        }
        Word::Stmk => {
            let mask = argument.iter().fold(0, |mask: i64, byte| mask << 8 | i64::from(*byte));
            source.set_trace_mask(mask);
            mask.to_string()
        }
        Word::Wchc => source.watches_by_session().to_string(),
        Word::Wchp => source.watches_by_path().to_string(),
        Word::Wchs => source.watches_summary().to_string(),
    }
}

fn cons(connections: &[Connection]) -> String {
    let lines: String = connections.iter().map(|connection| format!("{connection}\n")).collect();
    lines + "\n"
}

fn hash(digests: &[(Zxid, i64)]) -> String {
    digests.iter().map(|(zxid, digest)| format!("{:x}: {digest}\n", zxid.0)).collect()
}

fn isro(mode: Option<Mode>) -> &'static str {
    match mode {
        None => "null",
        Some(Mode::ReadOnly) => "ro",
        Some(Mode::Standalone | Mode::Leader | Mode::Follower | Mode::Observer) => "rw",
    }
}
