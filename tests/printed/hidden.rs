//! Nothing that can't be seen reaches a terminal: not from a path, nor from an argument, nor from a key.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use etcd_medic::internals::text::{escape, is_unsafe};
use tempfile::TempDir;

use super::support::etcd_file::{file_of, put};
use super::support::program::{plain, program, run};
use super::{COMMANDS, NAMES, name};

fn assert_harmless(said: &[u8], of: &str) {
    let said = std::str::from_utf8(said).unwrap_or_else(|error| panic!("{of}: {error}"));
    let hidden = said.chars().find(|&char| is_unsafe(char) && char != '\n');
    assert_eq!(hidden, None, "{of}: {said:?}");
}

/// Every command, on files of every name: sound, missing, and none.
#[test]
fn of_a_path() {
    let records = [put(5, b"key", 5, 1, b"value", 0), put(6, b"key", 5, 2, b"other", 0)];
    let sound = file_of(4096, &records, 10).bytes();
    for hostile in NAMES {
        let folder = TempDir::new().expect("a folder");
        let file = name(hostile);
        let path = folder.path().join(&file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        for bytes in [Some(&sound[..]), Some(b"text"), None] {
            match bytes {
                Some(bytes) => fs::write(&path, bytes).expect("written"),
                None => fs::remove_file(&path).expect("removed"),
            }
            for (before, behind) in COMMANDS {
                let mut command = program();
                command.current_dir(folder.path()).args(*before).arg("--").arg(&file).args(*behind);
                let output = command.output().expect("ran");
                let of = format!("{before:?} {file:?}");
                assert_harmless(&output.stdout, &of);
                assert_harmless(&output.stderr, &of);
                assert!(output.status.code().is_some_and(|code| code <= 2), "{of}");
                if bytes.is_none() {
                    let said = String::from_utf8(output.stderr).expect("text");
                    assert!(said.contains(&*escape(file.as_bytes())), "{of}: {said}");
                }
                for made in ["exported", "packed-copy", "saved-copy"] {
                    let made = folder.path().join(made);
                    let _ = fs::remove_file(&made);
                    let _ = fs::remove_dir_all(&made);
                }
            }
        }
    }
}

/// What clap says of arguments that it refuses; on a terminal, too, where it colours them.
#[test]
fn of_an_argument() {
    let hostile = OsString::from("e\u{1b}]52;c;QQ==\u{7}.db");
    for args in
        [vec!["analyze", "a.db"], vec!["analyze", "a.db", "--sort"], vec!["analyze", "a.db", "--rev"], vec![]]
    {
        let output = program().args(&args).arg(&hostile).output().expect("ran");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_harmless(&output.stderr, &format!("{args:?}"));
        assert!(output.stdout.is_empty());
        let coloured = program().env("CLICOLOR_FORCE", "1").args(&args).arg(&hostile).output().expect("ran");
        let said = String::from_utf8(coloured.stderr).expect("text");
        assert!(said.contains("\u{1b}[") && !said.contains("\u{1b}]") && !said.contains('\u{7}'), "{said:?}");
    }
    // its own name, as it is repeated in the usage
    let folder = TempDir::new().expect("a folder");
    let link = folder.path().join("e\u{1b}]0;title\u{7}");
    std::os::unix::fs::symlink(super::support::program::PROGRAM, &link).expect("linked");
    for args in [vec!["--no-such"], vec!["analyze"], vec!["--help"], vec!["--version"]] {
        let output = plain(&link).args(&args).output().expect("ran");
        assert_harmless(&output.stderr, "usage");
        assert_harmless(&output.stdout, "usage");
    }
}

/// Keys of every kind of hidden character, and of text that looks as if it were escaped: no two of them print alike, in any command.
#[test]
fn of_a_key() {
    let hidden = [
        "\u{61c}",
        "\u{ad}",
        "\u{180e}",
        "\u{fff9}",
        "\u{fffa}",
        "\u{fffb}",
        "\u{e0041}",
        "\u{e007f}",
        "\u{fe0f}",
        "\u{e0100}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{feff}",
        "\u{a0}",
        "\u{2028}",
        "\u{85}",
        "\u{e000}",
        "\u{378}",
        "\u{1b}[31m",
        "\n",
        "\t",
        "\\",
        "\\\\",
        "\\n",
        "\\t",
        "\\u{61c}",
        "\\u{1b}[31m",
        "\\xff",
        "\\x1b",
        "x",
        "",
    ];
    let mut keys: Vec<Vec<u8>> =
        hidden.iter().map(|text| format!("/registry/pods/d/a{text}b").into_bytes()).collect();
    keys.extend([
        b"/registry/pods/d/a\xffb".to_vec(),
        b"/registry/pods/d/a\x1bb".to_vec(),
        b"/registry/pods/d\\n/a".to_vec(),
    ]);
    keys.sort();
    let records: Vec<_> =
        keys.iter().zip(5_i64..).map(|(key, main)| put(main, key, main, 1, b"value", 0)).collect();
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("keys.db");
    fs::write(&path, file_of(4096, &records, 10).bytes()).expect("written");
    let path = path.to_str().expect("text");
    let listed = run(["keys", path]);
    let lines: BTreeSet<_> = listed.out.lines().collect();
    assert_eq!(lines.len(), keys.len(), "{}", listed.out);
    for (before, behind) in COMMANDS.iter().filter(|(before, _)| before.len() == 1) {
        for output in ["text", "json"] {
            let args = [before, &[path, "--output", output][..], behind].concat();
            let ran = program().args(&args).output().expect("ran");
            assert_harmless(&ran.stdout, &format!("{args:?}"));
            assert_harmless(&ran.stderr, &format!("{args:?}"));
        }
    }
    for key in &keys {
        let ran = program().args(["history", path]).arg(OsStr::from_bytes(key)).output().expect("ran");
        assert_harmless(&ran.stdout, "history");
        assert_eq!(ran.status.code(), Some(0), "{key:?}");
    }
}
