//! Where objects live: bytes by tenant and by namespace.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use serde::Serialize;

use crate::k8s::Tenant;
use crate::scan::key_sum::KeySum;
use crate::scan::tenants::Tenants;
use crate::text::ByteText;

use super::share::apportion;

/// A tenant: one of several clusters that share the file, by API servers with an `--etcd-prefix` each, or as kcp's logical
/// clusters.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TenantUse {
    /// The prefix (`/registry`) or the logical cluster (`root`; where two prefixes have logical clusters, `/prefix/root`);
    /// `null` for what isn't Kubernetes'. OpenShift's two prefixes are one tenant, `/kubernetes.io`.
    pub tenant: Option<ByteText>,
    /// What its keys add up to.
    #[serde(flatten)]
    pub sum: HomeUse,
}

/// One namespace.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NamespaceUse {
    /// The tenant: the prefix of an API server (`/registry`), or kcp's logical cluster; `null` where the file has only one,
    /// and for what isn't Kubernetes'.
    pub tenant: Option<ByteText>,
    /// The namespace; `null` for objects without one, and for what isn't Kubernetes'.
    pub namespace: Option<ByteText>,
    /// What its keys add up to.
    #[serde(flatten)]
    pub sum: HomeUse,
}

/// What the keys of one home add up to.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HomeUse {
    /// Keys that exist.
    pub objects: u64,
    /// Records of these and of deleted keys.
    pub records: u64,
    /// Bytes of the newest record of each key that exists: element, key and value.
    pub live_bytes: u64,
    /// Bytes of all other records, tombstones included: elements, keys and values.
    pub history_bytes: u64,
    /// Bytes that all its records take of the file, with their share of headers, slack and branch pages.
    pub disk_bytes: u64,
}

impl HomeUse {
    fn of(sum: &KeySum, disk_bytes: u64) -> Self {
        Self {
            objects: sum.objects,
            records: sum.records,
            live_bytes: sum.live_bytes,
            history_bytes: sum.history_bytes(),
            disk_bytes,
        }
    }
}

type TenantAndNamespace<'a> = (Option<Tenant<'a>>, Option<&'a [u8]>);

/// Sums by tenant and namespace, and of what a filter keeps out.
#[derive(Debug, Default)]
pub(super) struct Homes<'a> {
    sums: HashMap<TenantAndNamespace<'a>, KeySum, RandomState>,
    rest: KeySum,
}

impl<'a> Homes<'a> {
    pub(super) fn add(&mut self, tenant: Option<Tenant<'a>>, namespace: Option<&'a [u8]>, sum: &KeySum) {
        self.sums.entry((tenant, namespace)).or_default().append(sum);
    }

    pub(super) fn add_rest(&mut self, sum: &KeySum) {
        self.rest.append(sum);
    }

    /// The rows of both tables; each adds up to `disk_bytes` with what is not shown. No tenants where there is only one.
    pub(super) fn finish(
        &self,
        tenants: Tenants,
        unreadable: u64,
        disk_bytes: u64,
    ) -> (Vec<TenantUse>, Vec<NamespaceUse>) {
        let not_shown = self.rest.leaf_bytes + unreadable;
        let mut by_tenant: BTreeMap<Option<ByteText>, KeySum> = BTreeMap::new();
        let mut by_namespace: BTreeMap<(Option<ByteText>, Option<&[u8]>), KeySum> = BTreeMap::new();
        for (&(tenant, namespace), sum) in &self.sums {
            let tenant = tenants.name(tenant);
            by_namespace.entry((tenant.clone(), namespace)).or_default().append(sum);
            by_tenant.entry(tenant).or_default().append(sum);
        }
        if !tenants.are_several() {
            by_tenant.clear();
        }
        let tenant = |(tenant, sum): (Option<ByteText>, HomeUse)| TenantUse { tenant, sum };
        let namespace = |((tenant, namespace), sum): ((Option<ByteText>, Option<&[u8]>), HomeUse)| {
            NamespaceUse { tenant, namespace: namespace.map(ByteText::from), sum }
        };
        (
            rows(by_tenant, not_shown, disk_bytes).into_iter().map(tenant).collect(),
            rows(by_namespace, not_shown, disk_bytes).into_iter().map(namespace).collect(),
        )
    }
}

/// The largest first, equals in the order of their names.
fn rows<N: Ord>(sums: BTreeMap<N, KeySum>, not_shown: u64, disk_bytes: u64) -> Vec<(N, HomeUse)> {
    let weights: Vec<u64> = sums.values().map(|sum| sum.leaf_bytes).chain([not_shown]).collect();
    let disk = apportion(disk_bytes, &weights);
    let shown = sums.into_iter().zip(disk).filter(|((_, sum), _)| sum.records > 0);
    let mut rows: Vec<_> = shown.map(|((name, sum), disk)| (name, HomeUse::of(&sum, disk))).collect();
    rows.sort_by(|(a, one), (b, other)| (other.disk_bytes, a).cmp(&(one.disk_bytes, b)));
    rows
}
