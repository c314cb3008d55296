//! The table of commands: parser, usage, help, completion and dispatch come from it.

use crate::command::{Command, Flag, first, only, switch, value};
use crate::commands::{acl, ensemble, exchange, local, quota, read, subtree, watch, write};

const STAT: Flag = switch("s", "also print the stat");
const WATCH: Flag = switch("w", "watch for the next change");
const QUOTA_SWITCHES: &[Flag] = &[
    switch("n", "soft limit of nodes"),
    switch("b", "soft limit of bytes"),
    switch("N", "hard limit of nodes"),
    switch("B", "hard limit of bytes"),
];

macro_rules! commands {
    ($($name:literal $usage:literal, $flags:expr, $words:expr, $session:expr, $run:path, $help:literal;)*) => {
        /// Every command, by name.
        pub(crate) static COMMANDS: &[Command] = &[$(Command {
            name: $name,
            usage: $usage,
            flags: $flags,
            words: $words,
            help: $help,
            needs_session: $session,
            run: |shell, parsed| Box::pin($run(shell, parsed)),
        },)*];
    };
}

/// The column that says whether a command needs a session.
const SESSION: bool = true;
const ALONE: bool = false;

commands! {
    "addWatch" "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE",
        &[value("m", "mode", "PERSISTENT or PERSISTENT_RECURSIVE")], only(1, 1), SESSION, watch::add_watch,
        "Watches a node, and below it, until the watch is removed.";
    "addauth" "scheme auth", &[], first(1, 2), SESSION, ensemble::add_auth,
        "Adds an identity to this session.";
    "close" "", &[], first(0, 0), SESSION, local::close, "Ends the session.";
    "config" "[-c] [-w] [-s]",
        &[switch("c", "as a connect string for clients"), WATCH, STAT], first(0, 0), SESSION, ensemble::config,
        "Prints the ensemble's configuration.";
    "connect" "host:port", &[], first(0, 1), ALONE, local::connect,
        "Ends the session and begins one with other servers.";
    "create" "[-s] [-e] [-c] [-t ttl] path [data] [acl]",
        &[
            switch("s", "sequential"),
            switch("e", "ephemeral"),
            switch("c", "container"),
            value("t", "ttl", "time to live in ms"),
        ], first(1, 3), SESSION, write::create, "Creates a node.";
    "delete" "[-v version] path", &[value("v", "version", "the version that it must have")],
        first(1, 2), SESSION, write::delete, "Deletes a node without children.";
    "deleteall" "path [-b batch size]", &[value("b", "batch size", "requests under way at once")],
        first(1, 1), SESSION, subtree::delete_all, "Deletes a node and all below it.";
    "delquota" "[-n|-b|-N|-B] path", QUOTA_SWITCHES, first(1, 1), SESSION, quota::delete,
        "Removes a quota, or one limit of it.";
    "export" "[-e] path [file]", &[switch("e", "with ephemeral nodes")], only(1, 2), SESSION, exchange::export,
        "Writes a subtree as JSON, with data and access lists, to a file or to stdout.";
    "find" "path [-name glob] [-data text] [-e]",
        &[
            value("name", "glob", "names that match; * and ? stand for others"),
            value("data", "text", "nodes whose data holds this text"),
            switch("e", "only ephemeral nodes"),
        ], only(1, 1), SESSION, subtree::find, "Lists the paths below a node that meet all conditions.";
    "get" "[-s] [-w] [-b] [-x] path",
        &[STAT, WATCH, switch("b", "in base64"), switch("x", "as a hexdump")], first(1, 2), SESSION, read::get,
        "Prints a node's data.";
    "getAcl" "[-s] path", &[STAT], first(1, 1), SESSION, acl::get, "Prints a node's access list.";
    "getAllChildrenNumber" "path", &[], first(1, 1), SESSION, read::count, "Counts all nodes below a node.";
    "getEphemerals" "path", &[], first(0, 1), SESSION, read::ephemerals,
        "Lists this session's ephemeral nodes.";
    "help" "[command]", &[], only(0, 1), ALONE, local::help, "Explains a command, or lists all.";
    "history" "", &[], first(0, 0), ALONE, local::history, "Lists the last commands.";
    "import" "[-f] file [path]", &[switch("f", "overwrite nodes that exist")], only(1, 2), SESSION, exchange::import,
        "Creates the subtree that `export` wrote, at its place or at another.";
    "listquota" "path", &[], first(1, 1), SESSION, quota::list, "Prints a quota and what is used of it.";
    "ls" "[-s] [-w] [-R] path", &[STAT, WATCH, switch("R", "all below it, a path per line")],
        first(1, 2), SESSION, read::ls, "Lists a node's children.";
    "printwatches" "on|off", &[], first(0, 1), ALONE, local::print_watches,
        "Says whether watch events are printed, or switches it.";
    "quit" "", &[], first(0, 0), ALONE, local::quit, "Ends the session and the shell.";
    "exit" "", &[], first(0, 0), ALONE, local::quit, "The same as quit.";
    "reconfig" "[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]",
        &[
            STAT,
            value("v", "version", "the configuration's version that it is based on"),
            value("file", "path", "a file with the new membership"),
            value("members", "servers", "the new membership"),
            value("add", "servers", "servers to add or to change"),
            value("remove", "ids", "servers to remove"),
        ], first(0, 0), SESSION, ensemble::reconfig, "Changes the ensemble.";
    "redo" "cmdno", &[], first(1, 1), ALONE, local::redo, "Runs a command of the history again.";
    "removewatches" "path [-c|-d|-p|-r|-a] [-l]",
        &[
            switch("c", "watches on children"),
            switch("d", "watches on data"),
            switch("p", "persistent watches"),
            switch("r", "persistent recursive watches"),
            switch("a", "any"),
            switch("l", "also without a connection"),
        ], first(1, 1), SESSION, watch::remove_watches, "Removes watches from a node.";
    "set" "path data [-s] [-v version] [-b]",
        &[STAT, value("v", "version", "the version that it must have"), switch("b", "data is base64")],
        first(2, 2), SESSION, write::set, "Replaces a node's data.";
    "setAcl" "[-s] [-v version] [-R] path acl",
        &[STAT, value("v", "version", "the version that the list must have"), switch("R", "all below, too")],
        first(2, 2), SESSION, acl::set, "Replaces a node's access list.";
    "setquota" "-n|-b|-N|-B val path",
        &[
            value("n", "val", "soft limit of nodes"),
            value("b", "val", "soft limit of bytes"),
            value("N", "val", "hard limit of nodes"),
            value("B", "val", "hard limit of bytes"),
        ], first(1, 1), SESSION, quota::set, "Limits nodes and bytes of a subtree.";
    "stat" "[-w] path", &[WATCH], first(1, 2), SESSION, read::stat, "Prints a node's stat.";
    "sync" "path", &[], first(1, 1), SESSION, ensemble::sync,
        "Waits until the server has what the leader had.";
    "tree" "[-d depth] [path]", &[value("d", "depth", "how deep to go")], only(0, 1), SESSION, subtree::tree,
        "Draws the nodes below a node.";
    "version" "", &[], only(0, 0), SESSION, local::version, "Prints this shell's version.";
    "watch" "[-n events] path", &[value("n", "events", "end after so many")], only(1, 1), SESSION, watch::follow,
        "Follows all changes of a node and below it, a line per event, until interrupted.";
    "whoami" "", &[], first(0, 0), SESSION, ensemble::who_am_i, "Prints the identities of this session.";
}

/// The command of that name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;

    #[test]
    fn names_are_unique_and_usages_name_every_flag() {
        for (at, command) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[..at].iter().all(|other| other.name != command.name));
            for flag in command.flags {
                let shown = format!("-{}", flag.name);
                assert!(command.usage.contains(&shown), "{} {shown}", command.name);
            }
            assert!(command.help.ends_with('.'), "{}", command.name);
        }
    }
}
