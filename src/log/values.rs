//! The values that an entry puts, as far as they may be shown.

use crate::etcd::KeyValue;
use crate::etcd::RecordKey;
use crate::etcd::find::{FoundRecord, Origin};
use crate::etcd::request::{Action, Op, Put};
use crate::etcd::revision::Revision;
use crate::text::ByteText;
use crate::travel::shown::Shower;

use super::line::{EntryKind, LogLine};

/// Adds the values to the operations of an entry.
pub fn show(line: &mut LogLine<'_>, shower: &Shower<'_>) {
    let puts = line.request.as_ref().map(|request| puts(&request.action)).unwrap_or_default();
    let operations = line.operations.iter_mut().filter(|operation| operation.kind == EntryKind::Put);
    for (operation, put) in operations.zip(puts).filter(|(_, put)| !put.ignore_value) {
        let place = RecordKey { revision: Revision::default(), tombstone: false };
        let kv = KeyValue { key: put.key, value: put.value, ..KeyValue::default() };
        let found = FoundRecord { place, kv, origin: Origin::Live, at: 0, len: 0 };
        match shower.object(&found) {
            Ok(shown) => operation.object = Some(shown.object),
            Err(_) => operation.value = shower.bytes(&found).ok().map(|bytes| ByteText::from(bytes.get())),
        }
    }
}

/// All puts, in the order of the operations of a line.
fn puts<'a>(action: &Action<'a>) -> Vec<Put<'a>> {
    let mut puts = Vec::new();
    let mut add = |op: &Op<'a>| {
        if let Op::Put(put) = op {
            puts.push(*put);
        }
    };
    match action {
        Action::Put(put) => add(&Op::Put(*put)),
        Action::Txn(txn) => txn.all_ops(&mut add),
        _ => {}
    }
    puts
}
