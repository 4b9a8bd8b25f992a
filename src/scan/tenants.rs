//! The clusters that share a file, and what each is called.

use std::collections::BTreeSet;

use crate::k8s::Tenant;
use crate::text::ByteText;

use super::keyspace::Keyspace;

/// How a file's tenants are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tenants {
    /// Whether there are several: only then does anyone need a name.
    several: bool,
    /// Whether logical clusters are under several prefixes, so that their names alone don't tell them apart.
    with_prefix: bool,
}

impl Tenants {
    /// Those of a file's keys.
    pub fn of(keyspace: &Keyspace<'_>) -> Self {
        Self::among(keyspace.shards().iter().flat_map(|shard| shard.tenants().iter().copied()))
    }

    /// Those of these tenants, of whom each may come several times.
    pub fn among<'t>(tenants: impl Iterator<Item = Tenant<'t>>) -> Self {
        let tenants: BTreeSet<_> = tenants.collect();
        let clustered = tenants.iter().filter(|tenant| tenant.cluster.is_some());
        let prefixes: BTreeSet<_> = clustered.map(|tenant| tenant.prefix).collect();
        Self { several: tenants.len() > 1, with_prefix: prefixes.len() > 1 }
    }

    /// Whether there are several.
    pub fn are_several(&self) -> bool {
        self.several
    }

    /// What a tenant is called: its prefix, or its logical cluster; `None` where there is no other, and for what isn't
    /// Kubernetes'.
    pub fn name(&self, tenant: Option<Tenant<'_>>) -> Option<ByteText> {
        let Tenant { prefix, cluster } = tenant.filter(|_| self.several)?;
        Some(ByteText(match cluster {
            Some(cluster) if self.with_prefix => [prefix, b"/", cluster].concat(),
            Some(cluster) => cluster.to_vec(),
            // the API server's `--etcd-prefix=/`
            None if prefix.is_empty() => b"/".to_vec(),
            None => prefix.to_vec(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tenants: &[(&'static str, Option<&'static str>)]) -> Vec<Option<String>> {
        let tenant = |&(prefix, cluster): &(&'static str, Option<&'static str>)| Tenant {
            prefix: prefix.as_bytes(),
            cluster: cluster.map(str::as_bytes),
        };
        let named = Tenants::among(tenants.iter().map(tenant));
        tenants.iter().map(|one| named.name(Some(tenant(one))).map(|name| name.to_string())).collect()
    }

    #[test]
    fn each_has_a_name_of_its_own_where_there_are_several() {
        assert_eq!(names(&[("/registry", None), ("/registry", None)]), [None, None]);
        let named = |names: &[&str]| names.iter().map(|&name| Some(name.to_owned())).collect::<Vec<_>>();
        assert_eq!(names(&[("/a", None), ("", None)]), named(&["/a", "/"]));
        assert_eq!(
            names(&[("/registry", Some("root")), ("/registry", Some("b")), ("/registry", None)]),
            named(&["root", "b", "/registry"])
        );
        assert_eq!(names(&[("/a", Some("root")), ("/b", Some("root"))]), named(&["/a/root", "/b/root"]));
    }
}
