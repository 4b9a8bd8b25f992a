//! A value of any encoding as an object: its YAML and its JSON say the same; redacted, it shows no more; what `cleanup` reads
//! of it.
#![no_main]

use etcd_medic::internals::k8s::object::{self, ObjectKind};
use etcd_medic::internals::k8s::render::{change, render, yaml};
use etcd_medic::internals::k8s::{Encoding, KeyLayout, metadata, secret, type_meta};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let _ = (Encoding::of(data).label(), type_meta(data), metadata::creation_seconds(data));
    for kind in ObjectKind::ALL {
        let _ = object::read(kind, data);
    }
    let layout = KeyLayout::new();
    let bytes_are_shown = !secret::may_be_in(&layout, b"/registry/configmaps/a/b", data);
    let shown = secret::shown(&layout, b"/registry/configmaps/a/b", data);
    assert!(
        !bytes_are_shown || !shown.is_ok_and(|(_, redacted)| redacted),
        "its bytes are shown, and a field is not"
    );
    assert!(secret::may_be_in(&layout, b"/registry/secrets/a/b", data));
    let Ok(rendered) = render(data) else { return };
    let object = Value::Object(rendered.object.clone());
    let json = yaml::json(&rendered.object).expect("JSON");
    assert_eq!(serde_json::from_str::<Value>(&json).expect("JSON again"), object);
    assert!(!yaml::yaml(&rendered.object).is_empty());
    let mut changed = rendered.object;
    change::clean(&mut changed);
    let once = changed.clone();
    change::clean(&mut changed);
    assert_eq!(changed, once, "what is clean stays as it is");
});
