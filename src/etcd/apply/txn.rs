//! Transactions: which operations of one are carried out, and whether they can be.

use std::cmp::Ordering;

use super::super::request::{Compare, CompareResult, CompareTarget, Op, Txn};
use super::live::{LiveKey, LiveKeys};
use super::rules::Rules;

/// The operations of the branches that were chosen, in order.
pub(super) struct Chosen<'t, 'a> {
    /// Each with whether it is of the outermost transaction.
    pub(super) ops: Vec<(&'t Op<'a>, bool)>,
}

impl<'t, 'a> Chosen<'t, 'a> {
    /// All branches are chosen by the state before the first operation.
    pub(super) fn of(txn: &'t Txn<'a>, keys: &LiveKeys<'a>) -> Self {
        let mut ops = Vec::new();
        // branches that are waiting, the innermost last
        let mut waiting = vec![(branch(txn, keys).iter(), true)];
        while let Some((branch_ops, is_outer)) = waiting.last_mut() {
            let is_outer = *is_outer;
            match branch_ops.next() {
                Some(Op::Txn(inner)) => waiting.push((branch(inner, keys).iter(), false)),
                Some(op) => ops.push((op, is_outer)),
                None => {
                    waiting.pop();
                }
            }
        }
        Self { ops }
    }
}

fn branch<'t, 'a>(txn: &'t Txn<'a>, keys: &LiveKeys<'a>) -> &'t [Op<'a>] {
    let holds = txn.compares.iter().all(|compare| holds(compare, keys));
    if holds { &txn.success } else { &txn.failure }
}

fn holds(compare: &Compare<'_>, keys: &LiveKeys<'_>) -> bool {
    let mut found = keys.range(compare.keys).map(|(_, key)| key).peekable();
    if found.peek().is_none() {
        // a key that does not exist has no value, and 0 of everything else
        let nothing = LiveKey { create_revision: 0, mod_revision: 0, version: 0, lease: 0, value: &[] };
        return !matches!(compare.target, CompareTarget::Value(_)) && is_so(compare, &nothing);
    }
    found.all(|key| is_so(compare, key))
}

fn is_so(compare: &Compare<'_>, key: &LiveKey<'_>) -> bool {
    let order = match compare.target {
        CompareTarget::Version(version) => key.version.cmp(&version),
        CompareTarget::CreateRevision(revision) => key.create_revision.cmp(&revision),
        CompareTarget::ModRevision(revision) => key.mod_revision.cmp(&revision),
        CompareTarget::Value(value) => key.value.cmp(value),
        CompareTarget::Lease(lease) => key.lease.cmp(&lease),
    };
    match compare.result {
        CompareResult::Equal => order == Ordering::Equal,
        CompareResult::NotEqual => order != Ordering::Equal,
        CompareResult::Greater => order == Ordering::Greater,
        CompareResult::Less => order == Ordering::Less,
    }
}

/// Whether a transaction takes space, by either rule: with puts of its outermost level only, and with all
/// (`server/storage/quota.go`, `costTxn`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TakesSpace {
    pub(super) outermost: bool,
    pub(super) anywhere: bool,
}

impl TakesSpace {
    pub(super) fn of(txn: &Txn<'_>) -> Self {
        let is_put = |op: &Op<'_>| matches!(op, Op::Put(_));
        let outermost = txn.success.iter().chain(&txn.failure).any(is_put);
        let mut anywhere = false;
        txn.all_ops(&mut |op| anywhere |= is_put(op));
        Self { outermost, anywhere }
    }

    pub(super) fn by(self, rules: Rules) -> bool {
        if rules.nested_cost { self.anywhere } else { self.outermost }
    }
}
