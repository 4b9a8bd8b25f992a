//! docs/messages.md is what `doctor` knows of etcd's messages.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use etcd_medic::internals::doctor::message::KNOWN;

const HEAD: &str = "# etcd's messages

What an etcd that does not start, or accepts no writes, prints; what it means; what to do. `DIR` is the data dir, `NEW` one that does not
exist. `etcd-medic doctor --message FILE DIR` finds these in etcd's own log, JSON or text, and says which of them the directory gives.
`…` stands for what differs. Seen on etcd 3.4.23 to 3.8.0-alpha.

| message | etcd | means | do |
|---|---|---|---|
";

#[test]
fn the_page_says_what_the_program_knows() {
    let mut page = HEAD.to_owned();
    for known in KNOWN {
        let cell = |text: &str| text.replace('|', "\\|");
        let (message, means, remedy) = (cell(&known.text()), cell(known.means), cell(known.remedy));
        writeln!(page, "| `{message}` | {} | {means} | {remedy} |", known.versions).expect("text");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/messages.md");
    if std::env::var_os("RENEW_DOCS").is_some() {
        fs::write(&path, &page).expect("written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/messages.md is stale: RENEW_DOCS=1 cargo test --test member messages");
}
