//! The store of the API before v3, as a `.snap` holds it: JSON (`server/etcdserver/api/v2store/{store,node}.go`). Up to 3.5 etcd takes
//! its members and its cluster version from it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// What a start asks of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct V2Store {
    /// The version that all members speak.
    pub cluster_version: Option<String>,
    pub members: BTreeSet<u64>,
    /// Whether it has keys of users, which 3.6 refuses (`membership/storev2.go`, `IsMetaStoreOnly`).
    pub has_custom_content: bool,
}

#[derive(Deserialize)]
struct StoreDocument {
    #[serde(rename = "Root")]
    root: StoreNode,
}

#[derive(Deserialize)]
struct StoreNode {
    #[serde(rename = "Value", default)]
    value: String,
    #[serde(rename = "Children", default)]
    children: Option<BTreeMap<String, StoreNode>>,
}

impl StoreNode {
    fn child(&self, name: &str) -> Option<&Self> {
        self.children.as_ref()?.get(name)
    }

    fn has_children(&self) -> bool {
        self.children.as_ref().is_some_and(|children| !children.is_empty())
    }
}

impl V2Store {
    /// Reads it.
    ///
    /// # Errors
    /// It is no such JSON.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let StoreDocument { root } = serde_json::from_slice(json)?;
        let own = root.child("0");
        let version = own.and_then(|own| own.child("version"));
        let members = own.and_then(|own| own.child("members")?.children.as_ref());
        let ids = members.into_iter().flatten().filter_map(|(id, _)| u64::from_str_radix(id, 16).ok());
        let others = root.children.iter().flatten().filter(|(name, _)| name.as_str() != "0");
        Ok(Self {
            cluster_version: version.map(|version| version.value.clone()),
            members: ids.collect(),
            has_custom_content: others.into_iter().any(|(_, child)| child.has_children()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_start_asks_is_read() {
        let json = br#"{"Root":{"Path":"/","Value":"","Children":{
            "0":{"Path":"/0","Value":"","Children":{
                "members":{"Path":"/0/members","Value":"","Children":{"1ad2":{"Path":"","Value":"","Children":{}}}},
                "version":{"Path":"/0/version","Value":"3.5.0","Children":null}}},
            "1":{"Path":"/1","Value":"","Children":{}}}},"CurrentVersion":2}"#;
        let store = V2Store::parse(json).expect("read");
        let expected = V2Store {
            cluster_version: Some("3.5.0".to_owned()),
            members: BTreeSet::from([0x1ad2]),
            has_custom_content: false,
        };
        assert_eq!(store, expected);
        let custom = String::from_utf8_lossy(json)
            .replace(r#""/1","Value":"","Children":{}"#, r#""/1","Value":"","Children":{"a":{"Value":"b"}}"#);
        assert!(V2Store::parse(custom.as_bytes()).expect("read").has_custom_content);
        for broken in [&b""[..], b"{}", b"[]", b"{\"Root\":7}"] {
            assert!(V2Store::parse(broken).is_err());
        }
    }
}
