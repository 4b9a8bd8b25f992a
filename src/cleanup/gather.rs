//! One pass over all keys: what each class, resource and lease adds up to.

use std::collections::{BTreeMap, HashSet};

use crate::k8s::object::{self, ObjectKind, UnreadableObject};
use crate::k8s::{GroupResource, ValueKind};
use crate::scan::key_state::KeyState;
use crate::scan::key_sum::KeySum;
use crate::scan::shard::{PlacedKey, Shard};

use super::class::GarbageClass;
use super::floods::FloodCandidate;
use super::judge::{Judge, Judgement};
use super::rows::Unread;
use super::sums::Sums;

/// What some of the keys add up to.
pub(super) struct Gathered<'s, 'a> {
    top: usize,
    pub(super) classes: BTreeMap<GarbageClass, Sums<'s, 'a>>,
    pub(super) candidates: BTreeMap<GroupResource<'a>, FloodCandidate>,
    unread: BTreeMap<GroupResource<'a>, Unread>,
    pub(super) objects_read: u64,
    pub(super) doubtful_times: u64,
    /// All keys, deleted ones included.
    pub(super) every_key: KeySum,
    pub(super) attached: HashSet<i64>,
}

impl<'s, 'a> Gathered<'s, 'a> {
    pub(super) fn new(top: usize) -> Self {
        Self {
            top,
            classes: BTreeMap::new(),
            candidates: BTreeMap::new(),
            unread: BTreeMap::new(),
            objects_read: 0,
            doubtful_times: 0,
            every_key: KeySum::default(),
            attached: HashSet::new(),
        }
    }

    pub(super) fn of(shard: &'s Shard<'a>, judge: &Judge, top: usize) -> Self {
        let mut gathered = Self::new(top);
        let kinds: Vec<_> = shard
            .resources()
            .iter()
            .map(|resource| ObjectKind::of(resource.group, resource.resource))
            .collect();
        let mut candidates = vec![FloodCandidate::default(); kinds.len()];
        for key in shard.keys() {
            let place = shard.placed(key);
            gathered.every_key.add(key);
            let mut classes = Vec::new();
            if key.is_live() {
                let kind = kinds.get(usize::from(key.resource)).copied().flatten();
                classes.extend(judge.by_size(place.resource, key));
                classes.extend(gathered.look_into(kind, &place, judge));
                classes.extend(gathered.lease_of(shard, key, judge));
            }
            if let Some(candidate) = candidates.get_mut(usize::from(key.resource)) {
                candidate.add(place.resource, key, !classes.is_empty());
            }
            for class in classes {
                gathered.classes.entry(class).or_insert_with(|| Sums::new(top)).add(place);
            }
        }
        gathered.candidates = shard.resources().iter().copied().zip(candidates).collect();
        gathered
    }

    /// The class that an object's fields put it into.
    fn look_into(
        &mut self,
        kind: Option<ObjectKind>,
        place: &PlacedKey<'s, 'a>,
        judge: &Judge,
    ) -> Option<GarbageClass> {
        let key = place.key;
        if key.encoding == ValueKind::Encrypted {
            let unread = self.unread.entry(place.resource).or_default();
            unread.encrypted += 1;
            unread.encrypted_bytes += key.newest_own_bytes();
            return None;
        }
        let kind = kind?;
        match object::read(kind, key.newest().value) {
            Ok(object) => {
                self.objects_read += 1;
                self.doubtful_times += u64::from(object.times().any(|time| !judge.clock.believes(time)));
                match judge.judge(kind, &object) {
                    Judgement::Garbage(class) => return Some(class),
                    Judgement::Needed => {}
                    Judgement::Undated => self.unread.entry(place.resource).or_default().undated += 1,
                }
            }
            Err(UnreadableObject::Encrypted | UnreadableObject::Malformed | UnreadableObject::OtherKind) => {
                self.unread.entry(place.resource).or_default().malformed += 1;
            }
        }
        None
    }

    fn lease_of(&mut self, shard: &Shard<'a>, key: &KeyState<'a>, judge: &Judge) -> Option<GarbageClass> {
        let &lease = shard.leases().get(key.lease as usize)?;
        self.attached.insert(lease);
        (!judge.leases.contains(&lease)).then_some(GarbageClass::OrphanedKeys)
    }

    pub(super) fn append(&mut self, more: Self) {
        let top = self.top;
        for (class, sums) in more.classes {
            self.classes.entry(class).or_insert_with(|| Sums::new(top)).append(sums);
        }
        for (resource, candidate) in more.candidates {
            self.candidates.entry(resource).or_default().append(&candidate);
        }
        for (resource, unread) in more.unread {
            let sum = self.unread.entry(resource).or_default();
            sum.encrypted += unread.encrypted;
            sum.encrypted_bytes += unread.encrypted_bytes;
            sum.malformed += unread.malformed;
            sum.undated += unread.undated;
        }
        self.objects_read += more.objects_read;
        self.doubtful_times += more.doubtful_times;
        self.every_key.append(&more.every_key);
        self.attached.extend(more.attached);
    }

    pub(super) fn unread(&mut self) -> Vec<Unread> {
        let named = |(resource, unread): (GroupResource<'_>, Unread)| Unread {
            group: resource.group.to_owned(),
            resource: resource.resource.into(),
            ..unread
        };
        std::mem::take(&mut self.unread).into_iter().map(named).collect()
    }
}
