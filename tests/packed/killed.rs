//! Ended by a signal at any moment while it unpacks: nothing is left, where it unpacks and where the packed file is.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::support::fixture;
use super::support::packing::bzip2;
use super::support::program::{folder_of, path_in, program};
use super::support::random::Random;

const SIGNALS: [&str; 3] = ["KILL", "TERM", "INT"];
const ROUNDS: usize = 102;

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {}", child.id())])
        .stderr(Stdio::null())
        .status();
    // one that has ended by then has no use for it
    sent.expect("a shell");
}

#[test]
fn nothing_is_left_by_a_signal() {
    // bzip2 takes longest to be decoded
    let folder = folder_of(&[("db.bz2", &bzip2(&fixture("k8s-frag/frag.db").repeat(2)))]);
    let (packed, unpacked, saved) =
        (path_in(&folder, "db.bz2"), path_in(&folder, "tmp"), path_in(&folder, "saved.db"));
    fs::create_dir(&unpacked).expect("made");
    // one that catches signals, and one that does not
    let commands = [vec!["hash", &packed], vec!["salvage", &packed, "-o", &saved, "--dry-run"]];
    let start = |args: &[&str]| {
        let mut command = program();
        command.args(args).args(["--tmp-dir", &unpacked]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started")
    };
    let began = Instant::now();
    assert!(start(&commands[0]).wait().expect("ended").code().is_some_and(|code| code < 2));
    let whole = u64::try_from(began.elapsed().as_micros()).expect("short");
    let (mut random, mut ended) = (Random(15), 0);
    for round in 0..ROUNDS {
        let mut child = start(&commands[round / SIGNALS.len() % commands.len()]);
        sleep(Duration::from_micros(random.below(whole)));
        let name = SIGNALS[round % SIGNALS.len()];
        signal(&child, name);
        let status = child.wait().expect("ended");
        // caught, it ends as a shell says it: 128 and the signal
        ended += usize::from(status.code().is_none_or(|code| code > 128));
        assert_eq!(fs::read_dir(&unpacked).expect("there").count(), 0, "round {round}, SIG{name}");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 2, "round {round}, SIG{name}");
    }
    assert!(ended > ROUNDS / 3, "{ended} of {ROUNDS} were ended by the signal");
}
