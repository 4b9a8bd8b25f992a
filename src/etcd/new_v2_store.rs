//! The v2 store of a `.snap` that is made anew: the members and the version of their cluster. Up to 3.5 etcd takes them from it, and
//! keeps its changes in it; it panics where there is no room for its events (`server/etcdserver/api/v2store/{store,node,event_queue}.go`).

use serde_json::{Map, Value, json};

use super::apply::members::{MemberRow, go_json};

/// Events that the store keeps.
const EVENTS: usize = 1000;

/// As JSON.
pub fn new_v2_store<'m>(
    members: impl Iterator<Item = &'m MemberRow>,
    removed: &[u64],
    version: Option<&str>,
) -> Vec<u8> {
    let folder = |path: &str, children: Vec<(String, Value)>| node(path, "", Some(children));
    let rows = members.map(|row| {
        let id = format!("{:x}", row.id);
        let path = format!("/0/members/{id}");
        let leaf = |name: &str, value: &Value| {
            let text = String::from_utf8_lossy(&go_json(value)).into_owned();
            (name.to_owned(), node(&format!("{path}/{name}"), &text, None))
        };
        let mut raft = json!({ "peerURLs": row.peer_urls });
        if row.is_learner {
            insert(&mut raft, "isLearner", json!(true));
        }
        let mut parts = vec![leaf("raftAttributes", &raft)];
        if !row.name.is_empty() {
            let mut own = json!({ "name": row.name });
            row.client_urls.iter().for_each(|urls| insert(&mut own, "clientURLs", json!(urls)));
            parts.push(leaf("attributes", &own));
        }
        (id, folder(&path, parts))
    });
    let mut own = vec![("members".to_owned(), folder("/0/members", rows.collect()))];
    if !removed.is_empty() {
        let rows = removed.iter().map(|id| {
            let id = format!("{id:x}");
            let path = format!("/0/removed_members/{id}");
            (id, node(&path, "removed", None))
        });
        own.push(("removed_members".to_owned(), folder("/0/removed_members", rows.collect())));
    }
    if let Some(version) = version {
        own.push(("version".to_owned(), node("/0/version", version, None)));
    }
    let root = vec![("0".to_owned(), folder("/0", own)), ("1".to_owned(), folder("/1", Vec::new()))];
    let events = vec![Value::Null; EVENTS];
    let store = json!({
        "Root": folder("/", root),
        "WatcherHub": { "EventHistory": {
            "Queue": { "Events": events, "Size": 0, "Front": 0, "Back": 0, "Capacity": EVENTS },
            "StartIndex": 0, "LastIndex": 0,
        } },
        "CurrentIndex": 0,
        "Stats": {},
        "CurrentVersion": 2,
    });
    store.to_string().into_bytes()
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// A node: a folder with these children, or a leaf.
fn node(path: &str, value: &str, children: Option<Vec<(String, Value)>>) -> Value {
    json!({
        "Path": path,
        "CreatedIndex": 0,
        "ModifiedIndex": 0,
        "ExpireTime": "0001-01-01T00:00:00Z",
        "Value": value,
        "Children": children.map(|children| children.into_iter().collect::<Map<_, _>>()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::v2_store::V2Store;
    use super::*;

    #[test]
    fn what_is_made_is_read() {
        let row = MemberRow {
            id: 0x1ad2,
            peer_urls: Some(vec!["http://a:2380".to_owned()]),
            is_learner: true,
            name: "<m1>".to_owned(),
            client_urls: Some(vec!["http://a:2379".to_owned()]),
        };
        let other = MemberRow { id: 7, name: String::new(), client_urls: None, ..row.clone() };
        let json = new_v2_store([&row, &other].into_iter(), &[9], Some("3.5.0"));
        let store = V2Store::parse(&json).unwrap();
        assert_eq!(store.members.into_iter().collect::<Vec<_>>(), [7, 0x1ad2]);
        assert_eq!((store.cluster_version.as_deref(), store.has_custom_content), (Some("3.5.0"), false));
        let json: Value = serde_json::from_slice(&json).unwrap();
        let at = |path: &str| json.pointer(path).cloned();
        let of = "/Root/Children/0/Children/members/Children/1ad2/Children";
        assert_eq!(
            at(&format!("{of}/attributes/Value")),
            Some(json!(r#"{"clientURLs":["http://a:2379"],"name":"\u003cm1\u003e"}"#))
        );
        assert_eq!(
            at(&format!("{of}/raftAttributes/Value")),
            Some(json!(r#"{"isLearner":true,"peerURLs":["http://a:2380"]}"#))
        );
        assert_eq!(at("/Root/Children/0/Children/removed_members/Children/9/Value"), Some(json!("removed")));
    }
}
