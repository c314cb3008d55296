//! Rows of the keys that say where and how data is stored.

use super::Disposition::Honoured;
use super::Fallback::{Derived, Is, Required, Unset};
use super::Kind::{Choice, Interval, LenientBool, Path, YesNo};
use super::Unit::{Bytes, Count, Kibibytes, Milliseconds};
use super::{Key, Kind, TEST_AID, any_int, ignored, ignored_unless, int, keys};

pub(super) const ROWS: &[Key] = keys! {
    Own "dataDir" Path, Required, Honoured, "Folder of the snapshots, of myid and of the epoch files";
    Own "dataLogDir" Path, Derived("dataDir"), Honoured, "Folder of the transaction logs";
    Own "autopurge.snapRetainCount" any_int(Count), Is("3"), Honoured,
        "Snapshots that purging keeps; less than 3 becomes 3";
    Own "autopurge.purgeInterval" Interval, Is("0"), Honoured, "Time between purges; 0 is off";
    Property "snapCount" any_int(Count), Is("100000"), Honoured,
        "Transactions between two snapshots; less than 2 becomes 2. One that is due while another is \
         written, or before four times as long as that took have passed since, is skipped";
    Property "snapSizeLimitInKb" KIB, Is("4194304"), Honoured,
        "Size of the logs between two snapshots; 0 and less is off";
    Property "txnLogSizeLimitInKb" KIB, Is("-1"), Honoured,
        "Size from which a new log file is begun; 0 and less is off";
    Property "preAllocSize" KIB, Is("65536"), Honoured,
        "Steps in which a log file grows ahead of its data; 0 and less is off";
    Property "commitLogCount" any_int(Count), Is("500"), Honoured,
        "Committed transactions kept in memory; less than 500 becomes 500";
    Property "forceSync" YesNo, Is("yes"), Honoured,
        "Whether a write waits for the disk; no risks acknowledged data";
    Bare "fsync.warningthresholdms" int(0, Milliseconds), Is("1000"), Honoured,
        "A sync that takes longer is logged";
    Property "flushDelay" any_int(Milliseconds), Is("0"), ignored_unless("0", ONE_SYNC),
        "Longest wait for more writes before a sync; 0 and less is none";
    Property "maxWriteQueuePollTime" int(0, Milliseconds), Derived("flushDelay / 3"),
        ignored(ONE_SYNC),
        "Longest wait for the next write while a flush is delayed";
    Property "maxBatchSize" any_int(Count), Is("1000"), ignored(ONE_SYNC),
        "Writes in one sync at most; 0 and less is no limit";
    Property "snapshot.compression.method" Choice(&["", "gz", "snappy"]), Is(""), Honoured,
        "Compression of new snapshots; empty is none";
    Property "snapshot.trust.empty" LenientBool, Is("false"), Honoured,
        "Whether logs without any snapshot are loaded";
    Property "datadir.autocreate" LenientBool, Is("true"), Honoured,
        "Whether missing data folders are made";
    Property "db.autocreate" LenientBool, Is("true"), Honoured,
        "Whether an empty data folder is a new, empty database";
    Property "digest.enabled" LenientBool, Is("true"), Honoured,
        "Whether the digest of the tree is kept and stored";
    Property "closeSessionTxn.enabled" LenientBool, Is("true"), Honoured,
        "Whether the end of a session lists the ephemerals that it deletes";
    Property "serializeLastProcessedZxid.enabled" LenientBool, Is("true"), Honoured,
        "Whether snapshots carry their last zxid";
    Property "test.allowDiscontinuousProposals" LenientBool, Is("false"),
        ignored_unless("false", TEST_AID), "Allows gaps between proposals";
    Property "testingonly.initialZxid" Kind::Text, Unset, ignored(TEST_AID),
        "First zxid of an empty database";
    Bare "jute.maxbuffer" int(1, Bytes), Is("1048575"), Honoured,
        "Largest request; must be the same on servers and clients";
    Property "jute.maxbuffer.extrasize" any_int(Bytes), Derived("jute.maxbuffer"), Honoured,
        "What a stored record may be larger than a request; less than 1024 becomes 1024";
};

const ONE_SYNC: &str = "what has come while the disk was busy is one sync, without a wait";
const KIB: Kind = Kind::Int { min: i64::MIN / 1024, max: i64::MAX / 1024, unit: Kibibytes };
