//! Secrets of real clusters, whose data is known by Kubernetes' own types; and an adversary's file.

use std::io::{Write, stderr};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::travel::export::{self, Format};
use etcd_medic::internals::travel::shown::{ShowOptions, Shower};
use etcd_medic::internals::travel::{SearchIn, Select, at};
use k8s_pb::api::core::v1::Secret;
use prost::Message;
use rayon::prelude::*;
use serde_json::Value;

use super::generated::everything_printed;
use super::search::Needles;
use super::support::corpus::Corpus;
use super::support::etcd_file::two_levels;
use super::support::program::{folder_of, path_in, program};
use super::support::{fixture, testdata};

/// `adversary/secrets`: Secrets by key, by value, in annotations, lists, CBOR, and where the kind is said twice.
#[test]
fn an_adversarys_file() {
    let folder = folder_of(&[("db", &fixture("field/secrets.db"))]);
    let db = path_in(&folder, "db");
    let keys = String::from_utf8(program().args(["keys", &db]).output().expect("ran").stdout).expect("text");
    let keys: Vec<&str> = keys.lines().collect();
    assert_eq!(keys.len(), 35);
    let mut needles = Needles::of_runs(4);
    needles.add(b"TOPSECRETVALUE");
    for (command, printed) in everything_printed(&db, &keys, folder.path()) {
        let data = needles.find(&printed).map(|data| String::from_utf8_lossy(&data).into_owned());
        assert_eq!(data, None, "{command}: {}", String::from_utf8_lossy(&printed));
    }
    for key in keys {
        let raw =
            program().args(["get", &db, key, "--format", "raw", "--show-secrets"]).output().expect("ran");
        assert!(needles.find(&raw.stdout).is_some(), "{key}: it is there, and is shown when asked for");
    }
}

#[test]
fn the_corpora_of_testdata() {
    let secrets: usize = Corpus::all_in(&testdata("")).par_iter().map(search).sum();
    assert!(secrets > 40, "{secrets} Secrets");
}

#[test]
fn the_large_corpora() {
    let Some(folder) = std::env::var_os("ETCD_MEDIC_CORPORA") else {
        let _ =
            writeln!(stderr(), "LEFT OUT: the large corpora. ETCD_MEDIC_CORPORA=FOLDER names where they are");
        return;
    };
    let secrets: usize = Corpus::all_in(Path::new(&folder)).par_iter().map(search).sum();
    assert!(secrets > 100, "{secrets} Secrets");
}

/// The data of a value under a Secret's key, by Kubernetes' own type.
fn data_of(value: &[u8]) -> Vec<Vec<u8>> {
    if let Some(message) = value.strip_prefix(b"k8s\0") {
        // field 1, the type, then field 2, the object
        let (mut rest, mut raw) = (message, Vec::new());
        while !rest.is_empty() {
            let (number, wire) = prost::encoding::decode_key(&mut rest).expect("protobuf");
            let mut bytes = Vec::new();
            prost::encoding::bytes::merge(
                wire,
                &mut bytes,
                &mut rest,
                prost::encoding::DecodeContext::default(),
            )
            .expect("bytes");
            if number == 2 {
                raw = bytes;
            }
        }
        return Secret::decode(&raw[..]).expect("a Secret").data.into_values().collect();
    }
    let Ok(object) = serde_json::from_slice::<Value>(value) else { return Vec::new() };
    let data = object["data"].as_object().into_iter().flatten();
    data.filter_map(|(_, value)| STANDARD.decode(value.as_str()?).ok()).collect()
}

/// Searches what is shown of all records that can be found for each 8 bytes of data, and for whole values of 4 to 7: but for
/// what stands in keys or in other objects as well (`default`, `example.com`). Gives the number of Secrets.
fn search(corpus: &Corpus) -> usize {
    let mut secrets = 0;
    let words = words_of_the_program();
    // a snapshot has the same in it
    for name in corpus.truth.files.keys().filter(|name| !name.contains("snapshot")) {
        let file = corpus.file(name);
        let source = etcd_medic::open(file.path()).expect("opened");
        let state = State::read(&source.db);
        let answer = at(&source.db, &state, SearchIn::Any, None, Select::Prefix(b"")).expect("an etcd file");
        let mut needles = Needles::of_runs(8);
        let (own, others): (Vec<_>, Vec<_>) =
            answer.found.iter().partition(|found| found.kv.key.starts_with(b"/registry/secrets/"));
        own.iter().flat_map(|found| data_of(found.kv.value)).for_each(|value| needles.add(&value));
        let all = needles.len();
        answer.found.iter().for_each(|found| needles.forget(found.kv.key));
        others.iter().for_each(|found| needles.forget(found.kv.value));
        needles.forget(&words);
        assert!(
            needles.len() * 10 > all * 9,
            "{}: {name}: {} of {all} are left",
            corpus.name(),
            needles.len()
        );
        let has_data = own.iter().filter(|found| needles.find(found.kv.value).is_some()).count();
        secrets += has_data;
        for format in [Format::Yaml, Format::Json, Format::Raw] {
            let shower = Shower::new(ShowOptions::default());
            let mut printed = Vec::new();
            export::stream(&mut printed, answer.found.iter(), &shower, format).expect("written");
            let data = needles.find(&printed).map(|data| String::from_utf8_lossy(&data).into_owned());
            assert_eq!(data, None, "{}: {name}: {format:?}", corpus.name());
        }
        let path = file.path().to_str().expect("text");
        for (command, printed) in looks(path) {
            assert_eq!(needles.find(&printed), None, "{}: {name}: {command}", corpus.name());
        }
    }
    secrets
}

/// What commands print of a file.
fn looks(path: &str) -> Vec<(String, Vec<u8>)> {
    let commands = [
        &["analyze", path, "--top", "1000"][..],
        &["check", path],
        &["cleanup", path, "--large", "1"],
        &["keys", path, "--long"],
        &["keys", path, "--deleted"],
        &["buckets", path],
    ];
    let outputs = ["text", "json"];
    let all = commands
        .iter()
        .flat_map(|command| outputs.map(|output| [command, &["--output", output][..]].concat()));
    let run = |args: Vec<&str>| {
        let ran = program().args(&args).output().expect("ran");
        (args.join(" "), [ran.stdout, ran.stderr].concat())
    };
    all.map(run).collect()
}

/// What they print of a file without a Secret.
fn words_of_the_program() -> Vec<u8> {
    let folder = folder_of(&[("db", &two_levels().bytes())]);
    looks(&path_in(&folder, "db")).into_iter().flat_map(|(_, printed)| printed).collect()
}
