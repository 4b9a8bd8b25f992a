//! etcd's own messages: what each means, and what it means here.

use serde::Serialize;

use super::document::MemberReport;

/// A message that is known.
#[derive(Clone, Copy, Debug)]
pub struct KnownMessage {
    /// What is in the message, in this order.
    pub parts: &'static [&'static str],
    /// The versions that print it.
    pub versions: &'static str,
    /// What it means.
    pub means: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// A message that was found in etcd's log.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FoundMessage {
    /// The line that it was first in, from 1 on.
    pub line: u64,
    /// How many lines have it.
    pub count: u64,
    /// What of the line is known.
    pub message: String,
    /// What it means.
    pub means: String,
    /// What to do.
    pub remedy: String,
    /// What it means for these directories, as far as they show it.
    pub here: Option<String>,
}

const RESTORE: &str = "`etcd-medic restore DIR --keep-identity --data-dir NEW`";
const DOCTOR: &str = "`etcd-medic doctor DIR` says what is missing, and prints the way out";

macro_rules! known {
    ($($parts:expr, $versions:expr, $means:expr, $remedy:expr;)+) => {
        &[$(KnownMessage { parts: &$parts, versions: $versions, means: $means, remedy: $remedy }),+]
    };
}

/// The messages of a start, those first that say more. Tried on etcd 3.4.23 to 3.8.0-alpha.
pub const KNOWN: &[KnownMessage] = known![
    ["failed to find database snapshot file"], "all",
        "the db is missing, or older than the snapshot that etcd would go on from", RESTORE;
    ["assertion failed: tx closed"], "3.5.0, 3.5.1",
        "a db that the leader sent waits beside the old one, and this etcd fails to put it in place",
        "start a newer 3.5, or the same restore as for an old db";
    ["state.commit ", " is out of range ["], "all",
        "the log ends before the entry that it says was committed: it lost its end", RESTORE;
    ["tocommit(", ") is out of range [lastIndex("], "all",
        "this member's log is shorter than the leader knows it: it lost its end",
        "remove the member, and add it anew with an empty data dir";
    ["failed to publish local member to cluster through raft"], "3.6 and later",
        "the db is ahead of the log, or there is no leader: nothing is answered", DOCTOR;
    ["walpb: crc mismatch: expected:", "at position:"], "3.6 and later",
        "a byte of the log was changed, in the file and before the position that it names", DOCTOR;
    ["wal: crc mismatch"], "3.4, 3.5",
        "segments of the log do not follow each other: one is missing, or is another log's", DOCTOR;
    ["walpb: crc mismatch"], "all",
        "a byte of the log was changed; from 3.6 on, without a position, a segment is missing", DOCTOR;
    ["proto: Record: illegal tag"], "up to 3.6", "zeros or other bytes lie within a record of the log", DOCTOR;
    ["cannot parse invalid wire-format data"], "3.7 and later",
        "the log has a request of the API v2, which this etcd can't read, or a record of it is damaged",
        "for a request, start etcd 3.6 with --snapshot-count 1 first, or `etcd-medic restore DIR --keep-identity --for 3.7 --data-dir NEW`";
    ["max entry size limit exceeded"], "up to 3.5.4",
        "the length of a record is damaged, or an entry is larger than 10 MiB", RESTORE;
    ["wal: file not found"], "all", "the segments before the snapshot are missing", RESTORE;
    ["wal: slice bounds out of range"], "all", "entries are missing in the log", DOCTOR;
    ["wal: conflicting metadata found"], "all", "the log has segments of two members", RESTORE;
    ["unexpected block type"], "all", "the log has a record of an unknown type: it is damaged", DOCTOR;
    ["cannot use none as id"], "all", "the log is empty: it does not say whose it is", RESTORE;
    ["invalid memory address or nil pointer dereference"], "3.7 and later",
        "the log has no snapshot record", RESTORE;
    ["snap: crc mismatch"], "up to 3.6", "a `.snap` file is damaged; etcd takes the one before", DOCTOR;
    ["has already been bootstrapped"], "all", "the member's log is gone, and its cluster knows it",
        "remove the member, and add it anew with an empty data dir; of a single member, the same restore as for a lost log";
    ["invalid downgrade; server version is lower than determined cluster version"], "all",
        "a newer etcd wrote the directory", "start that newer etcd";
    ["version \"", "\" is not supported"], "3.6 and later", "a newer etcd wrote the db", "start that newer etcd";
    ["detected disallowed v2 WAL"], "3.6", "a user's request of the API v2 is in the log",
        "`etcd-medic restore DIR --keep-identity --for 3.6 --data-dir NEW`";
    ["detected disallowed custom content in v2store"], "3.6", "keys of the API v2 are in the snapshot",
        "start with --v2-deprecation=write-only-skip-check (3.6.12 and later), or the same restore as for a request";
    ["cannot process message to mismatch member"], "all",
        "a directory acts under another member's id, or the db has members that raft does not know", DOCTOR;
    ["Removing zombie member from v3store"], "3.5.26 and later 3.5",
        "members that raft does not know are removed from the db, as they should be", "nothing";
    ["failed to update; member unknown"], "3.5", "the `.snap` lacks a member", RESTORE;
    ["missing term information"], "3.6 and later",
        "the db is of etcd 3.4, or new: by itself harmless", "nothing, unless there is no leader";
    ["found data inconsistency with peers"], "3.5 and later",
        "the data are not what the other members have at the same revision",
        "`etcd-medic check DIR` on each: the log says which one was changed";
    ["unknown entry type"], "all", "the log has an entry that no etcd writes", DOCTOR;
    ["member count is unequal"], "all", "--initial-cluster names other members than the cluster has",
        "correct the option: the data are not the reason";
    ["couldn't find local name"], "all", "--initial-cluster does not name this member",
        "correct the option: the data are not the reason";
    ["cluster ID mismatch"], "all", "a member of another cluster is among these",
        "`etcd-medic doctor` with the directories of all members says which";
    ["has been permanently removed from the cluster"], "all", "the member was removed",
        "add it anew with an empty data dir";
    ["db file is flocked by another process"], "all", "another process has the db: an etcd that still runs",
        "stop that process";
    ["mvcc: database space exceeded"], "all", "the alarm NOSPACE is set: writes are refused",
        "`etcd-medic analyze DIR` says what takes the room, and the way out";
    ["freepages: failed to get all reachable pages"], "up to 3.5.1", "the db is damaged",
        "`etcd-medic salvage DIR -o saved.db`, or the same restore as for an old db";
    ["Page expected to be:", "but self identifies as"], "3.5.21 and later", "the db is damaged",
        "`etcd-medic salvage DIR -o saved.db`, or the same restore as for an old db";
    ["multiple references"], "all", "the db is damaged", "`etcd-medic salvage DIR -o saved.db`";
    ["failed to unmarshal mvccpb.KeyValue"], "all", "the db is damaged", "`etcd-medic salvage DIR -o saved.db`";
];

impl KnownMessage {
    /// Whether a line has it. etcd may write a no-break space.
    fn is_in(&self, line: &str) -> bool {
        let mut rest = line;
        self.parts.iter().all(|part| match rest.split_once(part) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
    }

    /// Its parts, for people.
    pub fn text(&self) -> String {
        self.parts.join("…")
    }
}

/// The known messages of a log of etcd's, JSON or text, in the order in which they come first.
pub fn found_in(log: &str, members: &[MemberReport]) -> Vec<FoundMessage> {
    let mut found: Vec<FoundMessage> = Vec::new();
    for (number, line) in (1..).zip(log.lines()) {
        let line = line.replace('\u{a0}', " ").replace("\\\"", "\"");
        let Some(known) = KNOWN.iter().find(|known| known.is_in(&line)) else { continue };
        let message = known.text();
        match found.iter_mut().find(|found| found.message == message) {
            Some(again) => again.count += 1,
            None => found.push(FoundMessage {
                line: number,
                count: 1,
                here: here(known, members),
                message,
                means: known.means.to_owned(),
                remedy: known.remedy.to_owned(),
            }),
        }
    }
    found
}

/// Which etcds print it with these directories.
fn here(known: &KnownMessage, members: &[MemberReport]) -> Option<String> {
    let mut by = Vec::new();
    for member in members {
        let says = |message: &String| known.is_in(message);
        let versions: Vec<_> = member
            .starts
            .iter()
            .filter(|start| start.message.as_ref().is_some_and(says))
            .map(|start| start.etcd.as_str())
            .collect();
        if !versions.is_empty() {
            by.push(format!("{} gives it with etcd {}", member.path, versions.join(", ")));
        }
    }
    let none = "these directories do not give it, with the versions above".to_owned();
    Some(if by.is_empty() { none } else { by.join("; ") }).filter(|_| !members.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_in_text_and_in_json() {
        let log = "{\"level\":\"fatal\",\"msg\":\"discovery failed\",\"error\":\"version \\\"3.7.0\\\" is not supported\"}\n\
                   panic: 8e9e05c52164694d state.commit 5 is out of range [1, 4]\n\
                   nothing of interest\n\
                   panic: 8e9e05c52164694d state.commit 5 is out of range [1, 4]\n\
                   proto:\u{a0}cannot parse invalid wire-format data\n";
        let found = found_in(log, &[]);
        let seen: Vec<_> = found.iter().map(|found| (found.line, found.count)).collect();
        assert_eq!(seen, [(1, 1), (2, 2), (5, 1)]);
        assert!(found[1].means.contains("lost its end") && found[0].here.is_none());
    }

    #[test]
    fn each_message_is_found_first_as_itself() {
        for (number, known) in KNOWN.iter().enumerate() {
            let line = known.text();
            let first = KNOWN.iter().position(|other| other.is_in(&line));
            assert_eq!(first, Some(number), "{line}");
        }
    }
}
