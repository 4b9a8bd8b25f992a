//! A key: where it belongs, the name of its file, and the text that is shown of it.
#![no_main]

use std::path::Component;

use etcd_medic::internals::k8s::KeyLayout;
use etcd_medic::internals::text;
use etcd_medic::internals::travel::names;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&[u8], &[u8])| {
    let (key, value) = data;
    // no record has an empty one: see `etcd::find::Found::of`
    if key.is_empty() {
        return;
    }
    let mut layout = KeyLayout::new();
    layout.learn(key, value);
    for value in [None, Some(value)] {
        let object = layout.classify(key, value);
        let path = names::path_of(key, &object, None);
        for path in [names::another(&path, key), path] {
            let mut parts = path.components();
            assert!(
                parts.all(|part| matches!(part, Component::Normal(name) if name.len() <= 255)),
                "{path:?}"
            );
            assert!((2..=3).contains(&path.components().count()), "{path:?}");
        }
    }
    assert!(!text::escape(key).chars().any(text::is_unsafe));
});
