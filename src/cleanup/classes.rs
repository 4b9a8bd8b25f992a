//! The rows of the answer: each class, and then the floods.

use std::collections::BTreeSet;

use prost::Message;

use crate::analyze::share::DiskBytes;
use crate::bolt::format::ELEMENT_SIZE;
use crate::etcd::schema::{Lease, State};
use crate::k8s::{GroupResource, resource_name};
use crate::scan::Scan;
use crate::scan::key_sum::KeySum;
use crate::scan::tenants::Tenants;
use crate::text::ByteText;
use crate::top_n::largest;

use super::class::GarbageClass;
use super::floods::{self, Flooded};
use super::gather::Gathered;
use super::judge::Judge;
use super::limits::GarbageLimits;
use super::rows::{ClassUse, Use};
use super::sums::{self, Sums};

/// Floods that have a row, the largest ones: with a low threshold, every custom resource is one.
const MAX_FLOODS: usize = 1000;

/// The classes, and what they come to.
pub(super) struct Classes {
    pub(super) total: Use,
    pub(super) rows: Vec<ClassUse>,
    pub(super) more_floods: u64,
}

/// A resource in great numbers.
struct Flood<'a> {
    resource: GroupResource<'a>,
    class: GarbageClass,
    reasons: Vec<&'static str>,
    sum: KeySum,
}

impl Gathered<'_, '_> {
    pub(super) fn classes(
        mut self,
        state: &State<'_>,
        scan: &Scan<'_>,
        disk: DiskBytes,
        judge: &Judge,
        top: usize,
    ) -> Classes {
        let limits = &judge.limits;
        let mut rows = Vec::new();
        for class in GarbageClass::FIXED {
            let sums = self.classes.remove(&class).unwrap_or_else(|| Sums::new(0));
            rows.push(row(class, sums, scan, disk, limits));
        }
        if let Some(row) = rows.iter_mut().find(|row| row.class == GarbageClass::LeasesWithoutKeys.name()) {
            let unused = state.leases.iter().filter(|lease| !self.attached.contains(&lease.id));
            row.sum = lease_use(unused);
            row.commands = commands(GarbageClass::LeasesWithoutKeys, &row.sum, limits, None);
        }
        let mut total = KeySum::default();
        let mut floods = Vec::new();
        for (&resource, candidate) in &self.candidates {
            let flood = candidate.flood(&self.every_key, limits);
            total.append(if flood.is_some() { &candidate.all } else { &candidate.elsewhere });
            floods.extend(flood.map(|(class, reasons)| Flood {
                resource,
                class,
                reasons,
                sum: candidate.all,
            }));
        }
        let more_floods = floods.len().saturating_sub(MAX_FLOODS);
        let mut floods = largest(MAX_FLOODS, floods, |flood| flood.sum.own_bytes);
        floods.sort_by_key(|flood| flood.resource);
        let names: BTreeSet<_> = floods.iter().map(|flood| flood.resource).collect();
        let mut found = floods::look_into(scan.keyspace.shards(), &names, judge.clock, top);
        for flood in floods {
            let Some(flooded) = found.remove(&flood.resource) else { continue };
            rows.push(flood_row(flood, flooded, scan, disk, limits));
        }
        Classes { total: Use::of(&total, disk), rows, more_floods: more_floods as u64 }
    }
}

fn row(
    class: GarbageClass,
    sums: Sums<'_, '_>,
    scan: &Scan<'_>,
    disk: DiskBytes,
    limits: &GarbageLimits,
) -> ClassUse {
    let sum = Use::of(&sums.all, disk);
    let tenants = Tenants::of(&scan.keyspace);
    ClassUse {
        class: class.name(),
        resource: None,
        reasons: Vec::new(),
        sum,
        why: class.why(limits),
        deleting: class.deleting(),
        prevention: class.prevention(),
        commands: commands(class, &sum, limits, None),
        ages: None,
        namespaces: sums.namespaces(disk, tenants),
        top: sums.top(&scan.layout, tenants),
    }
}

fn flood_row(
    Flood { resource, class, reasons, .. }: Flood<'_>,
    flooded: Flooded<'_, '_>,
    scan: &Scan<'_>,
    disk: DiskBytes,
    limits: &GarbageLimits,
) -> ClassUse {
    let ages = Some(flooded.ages());
    let row = row(class, flooded.sums, scan, disk, limits);
    let name = sums::kubectl_name(resource);
    let shown = ByteText::from(resource.resource).to_string();
    ClassUse {
        resource: Some(resource_name(resource.group, &shown)),
        reasons,
        commands: commands(class, &row.sum, limits, name.as_deref()),
        ages,
        ..row
    }
}

/// Where there is nothing, nothing is to be done.
fn commands(class: GarbageClass, sum: &Use, limits: &GarbageLimits, name: Option<&str>) -> Vec<String> {
    if sum.objects == 0 { Vec::new() } else { class.commands(limits, name) }
}

/// etcd's own leases: they are in the `lease` bucket, under the 8 bytes of their ids, and have no history.
fn lease_use<'l>(leases: impl Iterator<Item = &'l Lease>) -> Use {
    let mut sum = Use::default();
    for lease in leases {
        sum.objects += 1;
        sum.live_bytes += (ELEMENT_SIZE + size_of::<i64>() + lease.encoded_len()) as u64;
    }
    sum.disk_bytes = sum.live_bytes;
    sum
}
