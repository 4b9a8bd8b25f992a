//! YAML is the object that it was made from, to readers of YAML 1.1 and 1.2 alike: of each real object, and of hostile ones, in whose
//! keys and texts lies whatever a reader takes for anything else.
//!
//! Two readers are libraries (saphyr and granit-parser, below serde-saphyr). Two more are Python's, PyYAML (1.1, by its own parser and
//! by libyaml, on which Go's was modelled) and ruamel.yaml (1.2), where they are installed.

use std::fs;
use std::io::{Write, stderr};
use std::process::Command;

use etcd_medic::internals::etcd::schema::State;
use etcd_medic::internals::k8s::render::{render, yaml};
use etcd_medic::internals::text::is_unsafe;
use etcd_medic::internals::travel::{SearchIn, Select, at};
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use super::support::corpus::Corpus;
use super::support::random::Random;
use super::support::testdata;

/// What text is made of: whatever means something in YAML, and what can't be seen.
const PIECES: &[&str] = &[
    "a",
    "b",
    "z",
    "0",
    "1",
    "9",
    "-",
    "_",
    ".",
    ":",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "\r",
    "\r\n",
    "\\",
    "\"",
    "'",
    "#",
    " #",
    "|",
    ">",
    "%",
    "@",
    "`",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&",
    "*",
    "!",
    "!!str ",
    "?",
    "? ",
    "=",
    "~",
    "<<",
    "yes",
    "no",
    "on",
    "off",
    "null",
    "0x1",
    "0o7",
    "017",
    "1e3",
    ".5",
    "1_000",
    "12:30",
    "2001-01-01",
    "\u{1}",
    "\u{1}1",
    "\u{1b}",
    "\u{7f}",
    "\u{85}",
    "\u{9b}",
    "\u{a0}",
    "\u{ad}",
    "\u{61c}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{200b}",
    "\u{202e}",
    "\u{e9}",
    "\u{1f600}",
    "\u{e0041}",
    "\\x01",
    "\\u001B",
    "...",
    "---",
    "--- ",
    "\0",
    "\u{fffe}",
    "\u{ffff}",
    "\u{10ffff}",
    "y",
    "n",
    "Y",
    "N",
    ".inf",
    ".nan",
    "+1",
    "- a",
    "? a",
    ": a",
    "a: ",
    "/registry/",
    "\u{301}",
    "\u{3000}",
    "\u{fffd}",
];

/// Text that some reader takes for something else where it stands by itself.
const TRAPS: &[&str] = &[
    "",
    "~",
    "null",
    "Null",
    "NULL",
    "true",
    "True",
    "false",
    "FALSE",
    "yes",
    "Yes",
    "no",
    "NO",
    "on",
    "On",
    "off",
    "OFF",
    "y",
    "Y",
    "n",
    "N",
    "0",
    "00",
    "007",
    "0777",
    "08",
    "0o17",
    "0x1F",
    "0X1f",
    "0b11",
    "1_000",
    "0_",
    "+1",
    "-1",
    "1.",
    ".5",
    "1.5",
    "1e3",
    "1E3",
    "1e+3",
    "1.0e+3",
    "12e03",
    "685_230.15",
    "190:20:30",
    "190:20:30.15",
    "1:30",
    "12:30:45",
    "1:60",
    ".inf",
    "-.INF",
    "+.Inf",
    ".nan",
    ".NaN",
    "nan",
    "inf",
    "Infinity",
    "2001-01-01",
    "2001-1-1",
    "2001-12-14t21:59:43.10-05:00",
    "2001-12-14 21:59:43.10 -5",
    "2001-12-15 2:59:43.10",
    "=",
    "<<",
    "-",
    "--",
    "---",
    "--- a",
    "...",
    "?",
    "? a",
    ":",
    ": a",
    "a:",
    "a: b",
    "a :b",
    "a#b",
    "a #b",
    "#a",
    " a",
    "a ",
    "\ta",
    "a\t",
    "a\n",
    "\na",
    "a\n\n",
    "\n",
    "\n\n",
    "a\nb",
    "a\nb\n",
    "a\nb\n\n",
    " a\nb",
    "a\n b",
    "a\n\tb",
    "a\n \nb",
    "a\n\n\nb",
    "a\n#b",
    "a\n---\nb",
    "a\n...\n",
    "a\r\nb",
    "a\rb",
    "a \nb \n",
    "\ta\nb",
    "a\n  ",
    "a: |\n  b",
    "[",
    "]",
    "{",
    "}",
    "{}",
    "[]",
    "[a]",
    "{a: b}",
    ",",
    "&a",
    "*a",
    "!a",
    "!!int 1",
    "|",
    ">",
    "'",
    "''",
    "\"",
    "%YAML 1.2",
    "@a",
    "`a`",
    "\\",
    "\\x01",
    "\\n",
    "a\\",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{feff}a",
    "a\u{85}b\nc",
    "a\u{2028}b\nc",
    "\u{a0}",
    "\u{1}1B\u{1}",
    "\u{e0001}",
    "0.1.2",
    "1,000",
    "1-2",
    "10.96.0.1",
    "a,b",
    "a, b",
    "1 2",
    "0x",
    "0o",
    "e3",
    "1e",
    "1e+",
    "_1",
    "1__0",
    "\u{661}",
    "\u{ff11}",
    "\u{bd}",
];

fn text(random: &mut Random) -> String {
    let length = [0, 1, 1, 2, 3, 5, 8, 20][random.below(8) as usize];
    (0..length).map(|_| PIECES[random.below(PIECES.len() as u64) as usize]).collect()
}

fn number(random: &mut Random) -> Value {
    let numbers = [
        json!(0),
        json!(-5),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
        json!(1e-7),
        json!(0.1),
        json!(-0.0),
        json!(1.0),
        json!(1e16),
        json!(5e-324),
        json!(true),
        json!(false),
        json!(null),
    ];
    numbers[random.below(numbers.len() as u64) as usize].clone()
}

fn value(random: &mut Random, depth: u64) -> Value {
    match random.below(if depth == 0 { 2 } else { 6 }) {
        0 => number(random),
        1 | 2 => Value::String(text(random)),
        3 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect::<Vec<_>>().into(),
        _ => (0..random.below(4))
            .map(|_| (text(random), value(random, depth - 1)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn hostile_objects() -> Vec<Value> {
    let mut objects = Vec::new();
    // each trap as a value, as a key, in a list, and below each other
    for trap in TRAPS {
        objects.push(json!({ "a": trap, *trap: trap, "l": [trap, [trap, [trap]], {*trap: {*trap: [trap]}}, [{}, []]] }));
    }
    for key in ["k".repeat(990), "k".repeat(1024), "\u{e9}\n".repeat(700), "k: ".repeat(2000)] {
        for value in
            [json!("a"), json!("a\nb\n"), json!({"a": [1]}), json!([1, {"b": 2}]), json!({}), json!([])]
        {
            objects.push(json!({ "a": 1, key.clone(): value, "z": {key.clone(): value, "z": [{key.clone(): value, "y": 1}]} }));
        }
    }
    objects.push(json!({ "long": "word ".repeat(20_000), "lines": "line with words \n".repeat(5_000), "x": ["z".repeat(70_000)] }));
    // what a file of the field had: a key that reads as an escape's mark
    objects.push(json!({ "\\x01": "A\u{1b}B" }));
    objects.push(json!({ "\\x01": "v", "k\n\\x01\": {injected: yes} #": "v", "z": "\u{200b}" }));
    let mut random = Random(11);
    objects.extend((0..1500).map(|_| {
        let entries = (0..=random.below(4)).map(|_| (text(&mut random), value(&mut random, 3)));
        Value::Object(entries.collect())
    }));
    objects
}

/// Objects of real files, each live one.
fn real_objects() -> Vec<Value> {
    let mut objects = Vec::new();
    for corpus in Corpus::all_in(&testdata("")) {
        for name in corpus.truth.files.keys() {
            let file = corpus.file(name);
            let source = etcd_medic::open(file.path()).expect("opened");
            let state = State::read(&source.db);
            let answer =
                at(&source.db, &state, SearchIn::Live, None, Select::Prefix(b"")).expect("an etcd file");
            objects.extend(
                answer
                    .found
                    .iter()
                    .filter_map(|found| Some(Value::Object(render(found.kv.value).ok()?.object))),
            );
        }
    }
    assert!(objects.len() > 4_000, "{}", objects.len());
    objects
}

fn by_saphyr(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.0),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(by_saphyr).collect::<Vec<_>>().into(),
        Yaml::Mapping(entries) => {
            let text =
                |key: &Yaml<'_>| key.as_str().unwrap_or_else(|| panic!("{key:?} is no text")).to_owned();
            entries.iter().map(|(key, value)| (text(key), by_saphyr(value))).collect::<Map<_, _>>().into()
        }
        other => panic!("{other:?}"),
    }
}

/// Numbers above an `i64` are floats to some readers.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.as_i64().is_none() && a.as_f64() == b.as_f64()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn written(object: &Value) -> String {
    let shown = yaml::yaml(object.as_object().expect("an object"));
    let hidden = shown.chars().find(|&char| is_unsafe(char) && !matches!(char, '\n' | '\t'));
    assert_eq!(hidden, None, "{shown:?}");
    shown
}

#[test]
fn each_reader_of_ours_reads_the_object_back() {
    for object in hostile_objects().iter().chain(&real_objects()) {
        let shown = written(object);
        let documents =
            Yaml::load_from_str(&shown).unwrap_or_else(|error| panic!("{error}: {object}\n{shown}"));
        assert_eq!(documents.len(), 1, "{shown}");
        let read = by_saphyr(&documents[0]);
        assert!(same(object, &read), "saphyr: {object}\n{read}\n{shown}");
        let read: Value =
            serde_saphyr::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {object}\n{shown}"));
        assert!(same(object, &read), "serde-saphyr: {object}\n{read}\n{shown}");
        let read: Value = serde_json::from_str(&yaml::json(object).expect("JSON")).expect("JSON");
        assert_eq!(*object, read);
    }
}

/// Reads pairs of files, `N.yaml` and `N.json`, and prints those that differ; first, by what it reads.
const PYTHON: &str = r#"
import json, math, os, sys
folder = sys.argv[1]
readers = {}
try:
    import yaml
    readers["PyYAML " + yaml.__version__] = lambda text: yaml.load(text, Loader=yaml.SafeLoader)
    if yaml.__with_libyaml__:
        readers["libyaml"] = lambda text: yaml.load(text, Loader=yaml.CSafeLoader)
except ImportError:
    pass
try:
    import ruamel.yaml
    readers["ruamel.yaml " + ruamel.yaml.__version__] = lambda text: ruamel.yaml.YAML(typ="safe", pure=True).load(text)
except ImportError:
    pass
def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(type(k) is str and same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
print(", ".join(readers))
names = sorted(name[:-5] for name in os.listdir(folder) if name.endswith(".yaml"))
for name in names:
    text = open(f"{folder}/{name}.yaml", encoding="utf-8", newline="").read()
    want = json.load(open(f"{folder}/{name}.json", encoding="utf-8"))
    for reader, load in readers.items():
        try:
            got = load(text)
        except Exception as error:
            got = repr(error)
        if not same(want, got):
            print(f"{reader}: {name}: {json.dumps(want)[:300]} read as {json.dumps(got, default=str)[:300]}: {text[:300]!r}")
print(len(names), "documents")
"#;

#[test]
fn each_reader_of_pythons_reads_the_object_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut objects = hostile_objects();
    objects.extend(real_objects().into_iter().step_by(25));
    for (number, object) in objects.iter().enumerate() {
        let write = |ending: &str, text: String| {
            fs::write(folder.path().join(format!("{number}.{ending}")), text).expect("written");
        };
        write("yaml", written(object));
        write("json", object.to_string());
    }
    let python = std::env::var_os("ETCD_MEDIC_PYTHON").unwrap_or_else(|| "python3".into());
    let ran = Command::new(python).args(["-c", PYTHON]).arg(folder.path()).output();
    let said = ran.as_ref().map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned()).unwrap_or_default();
    let (readers, differences) = said.split_once('\n').unwrap_or_default();
    if readers.is_empty() {
        // not by `eprintln!`, which the test harness would keep to itself
        let _ = writeln!(
            stderr(),
            "LEFT OUT: YAML read by Python: install PyYAML and ruamel.yaml; ETCD_MEDIC_PYTHON names a python3"
        );
        return;
    }
    let _ = writeln!(stderr(), "YAML read by {readers}");
    assert_eq!(differences, format!("{} documents\n", objects.len()), "{:?}", ran.map(|ran| ran.stderr));
}
