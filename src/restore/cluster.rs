//! A new cluster: its members, and their ids (`server/etcdserver/api/membership/{member,cluster}.go`, `computeMemberId`, `genID`;
//! `server/config/config.go`, `VerifyBootstrap`).

#![warn(missing_docs)]

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::etcd::apply::members::MemberRow;

/// A new cluster, as etcd's own options name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewCluster {
    /// The member whose directory it is.
    pub name: String,
    /// All members, as `name=URL`, separated by commas; a member with several URLs is there as often.
    pub initial_cluster: Option<String>,
    /// What tells clusters of the same members apart.
    pub token: String,
    /// Where the other members find this one, separated by commas.
    pub advertise_peer_urls: String,
}

impl Default for NewCluster {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            initial_cluster: None,
            token: "etcd-cluster".to_owned(),
            advertise_peer_urls: "http://localhost:2380".to_owned(),
        }
    }
}

/// A cluster that etcd would not begin.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ClusterError {
    /// A part of the list is no `name=URL`.
    #[error("`{0}` is no member of a cluster: write it as name=http://host:2380")]
    NoMember(String),
    /// A URL that etcd refuses.
    #[error("{url}: {why}")]
    Url {
        /// The URL.
        url: String,
        /// Why.
        why: &'static str,
    },
    /// Two members have the same URL.
    #[error("{0} is there twice: each member needs a URL of its own")]
    Twice(String),
    /// The member is not in the list.
    #[error("the cluster `{cluster}` has no member `{name}`: give the name that it has there")]
    NoSuchName {
        /// The member.
        name: String,
        /// The list.
        cluster: String,
    },
    /// The list has other URLs of the member.
    #[error("the cluster has {listed} for `{name}`, and its own URLs are {own}: both must be the same")]
    OtherUrls {
        /// The member.
        name: String,
        /// Those of the list.
        listed: String,
        /// Its own.
        own: String,
    },
}

/// The members of a cluster, with their ids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMembers {
    /// In the order of their ids.
    pub rows: Vec<MemberRow>,
    /// The member whose directory it is.
    pub own_id: u64,
    /// The cluster.
    pub cluster_id: u64,
}

impl NewCluster {
    /// Reads the members.
    ///
    /// # Errors
    /// etcd would not begin such a cluster.
    pub fn members(&self) -> Result<NewMembers, ClusterError> {
        let own = urls(&self.advertise_peer_urls)?;
        let own_parts: Vec<_> = own.iter().map(|url| format!("{}={url}", self.name)).collect();
        let list = self.initial_cluster.clone().unwrap_or_else(|| own_parts.join(","));
        let mut members: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut seen = Vec::new();
        for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let pair = part.split_once('=').filter(|(name, url)| !name.is_empty() && !url.is_empty());
            let (name, url) = pair.ok_or_else(|| ClusterError::NoMember(part.to_owned()))?;
            let url = checked(url)?;
            if seen.contains(&url) {
                return Err(ClusterError::Twice(url));
            }
            seen.push(url.clone());
            members.entry(name).or_default().push(url);
        }
        members.values_mut().for_each(|urls| urls.sort_unstable());
        let no_such_name = || ClusterError::NoSuchName { name: self.name.clone(), cluster: list.clone() };
        let listed = members.get(self.name.as_str()).ok_or_else(no_such_name)?;
        if *listed != own {
            let (name, listed, own) = (self.name.clone(), listed.join(","), own.join(","));
            return Err(ClusterError::OtherUrls { name, listed, own });
        }
        let row = |(name, urls): (&str, Vec<String>)| MemberRow {
            id: member_id(&urls, &self.token),
            peer_urls: Some(urls),
            name: name.to_owned(),
            ..MemberRow::default()
        };
        let by_id: BTreeMap<u64, MemberRow> = members.into_iter().map(row).map(|row| (row.id, row)).collect();
        let rows: Vec<_> = by_id.into_values().collect();
        let own_id = rows.iter().find(|row| row.name == self.name).ok_or_else(no_such_name)?.id;
        let cluster_id = cluster_id(rows.iter().map(|row| row.id));
        Ok(NewMembers { rows, own_id, cluster_id })
    }
}

/// URLs that are separated by commas, in order.
fn urls(list: &str) -> Result<Vec<String>, ClusterError> {
    let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut urls = parts.map(checked).collect::<Result<Vec<_>, _>>()?;
    urls.sort_unstable();
    Ok(urls)
}

/// A URL as etcd takes it (`client/pkg/types/urls.go`, `NewURLs`).
fn checked(url: &str) -> Result<String, ClusterError> {
    let wrong = |why| Err(ClusterError::Url { url: url.to_owned(), why });
    let url = url.trim();
    let Some((scheme, rest)) = url.split_once("://") else {
        return wrong("a URL begins with http:// or https://");
    };
    match scheme {
        "unix" | "unixs" => Ok(url.to_owned()),
        "http" | "https" if rest.contains(['/', '?', '#']) => wrong("it must end with the port"),
        "http" | "https" => match rest.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(url.to_owned()),
            _ => wrong("it must be of the form http://host:port"),
        },
        _ => wrong("a URL begins with http:// or https://"),
    }
}

/// The id of a member that is there from the beginning of a cluster.
pub fn member_id(sorted_urls: &[String], token: &str) -> u64 {
    first_of(Sha1::digest([&sorted_urls.concat(), token].concat()).as_slice())
}

/// The id of a cluster that begins with these members, in the order of their ids.
pub fn cluster_id(ids: impl Iterator<Item = u64>) -> u64 {
    let bytes: Vec<u8> = ids.flat_map(u64::to_be_bytes).collect();
    first_of(Sha1::digest(bytes).as_slice())
}

fn first_of(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str, list: Option<&str>, own: &str) -> Result<NewMembers, ClusterError> {
        let initial_cluster = list.map(str::to_owned);
        let (name, advertise_peer_urls) = (name.to_owned(), own.to_owned());
        NewCluster { name, initial_cluster, advertise_peer_urls, ..NewCluster::default() }.members()
    }

    /// What etcdutl 3.6.16 makes of the same options.
    #[test]
    fn ids_are_etcd_s() {
        let list = "m1=http://127.0.0.1:2380,m2=http://127.0.0.2:2380";
        let members = cluster("m1", Some(list), "http://127.0.0.1:2380").unwrap();
        assert_eq!(members.own_id, 0xb71f_7532_0dc0_6a6c);
        assert_eq!(
            members.rows.iter().map(|row| row.id).collect::<Vec<_>>(),
            [0x2328_4278_a2d8_a0e6, 0xb71f_7532_0dc0_6a6c]
        );
        assert_eq!(members.cluster_id, 0xe20c_1970_4c51_badd);
    }

    #[test]
    fn what_etcd_refuses_is_refused() {
        let own = "http://a:1";
        for (list, error) in [
            ("m1", ClusterError::NoMember("m1".to_owned())),
            ("m1=http://a:1,m2=http://a:1", ClusterError::Twice("http://a:1".to_owned())),
            (
                "m2=http://a:1",
                ClusterError::NoSuchName { name: "m1".to_owned(), cluster: "m2=http://a:1".to_owned() },
            ),
            (
                "m1=http://b:1",
                ClusterError::OtherUrls {
                    name: "m1".to_owned(),
                    listed: "http://b:1".to_owned(),
                    own: own.to_owned(),
                },
            ),
        ] {
            assert_eq!(cluster("m1", Some(list), own), Err(error));
        }
        for url in ["a:1", "ftp://a:1", "http://a", "http://:1", "http://a:1/b", "http://a:99999"] {
            assert!(matches!(cluster("m1", None, url), Err(ClusterError::Url { .. })), "{url}");
        }
        let two = cluster("m1", Some("m1=http://b:1,m1=http://a:1"), "http://a:1,http://b:1").unwrap();
        assert_eq!(two.rows.len(), 1);
        assert!(cluster("m1", None, "unix:///run/etcd.sock").is_ok());
    }
}
