//! Transactions (`api/etcdserverpb/rpc.proto`, `TxnRequest`): if all compares hold, the operations of one branch, else those of the
//! other, all in one revision.

use crate::protobuf::Fields;

use super::fields::{bytes_of, message_of, signed_of, varint_of};
use super::{KeyRange, Put, Range, RequestError};

/// Transactions within transactions that are read: no client nests them deeper, and so reading them recurses no deeper.
const MAX_DEPTH: u32 = 100;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Txn<'a> {
    pub compares: Vec<Compare<'a>>,
    pub success: Vec<Op<'a>>,
    pub failure: Vec<Op<'a>>,
}

/// An operation of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op<'a> {
    /// One that names nothing: etcd passes over it.
    Nothing,
    Range(Range<'a>),
    Put(Put<'a>),
    Delete(KeyRange<'a>),
    Txn(Txn<'a>),
}

/// What must be true of a key, or of each key of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compare<'a> {
    pub keys: KeyRange<'a>,
    pub result: CompareResult,
    pub target: CompareTarget<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompareResult {
    Equal,
    Greater,
    Less,
    NotEqual,
}

/// What of a key is compared, and with what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompareTarget<'a> {
    Version(i64),
    CreateRevision(i64),
    ModRevision(i64),
    Value(&'a [u8]),
    Lease(i64),
}

impl<'a> Txn<'a> {
    pub(super) fn parse(message: &'a [u8], depth: u32) -> Result<Self, RequestError> {
        if depth > MAX_DEPTH {
            return Err(RequestError::TooDeep(MAX_DEPTH));
        }
        let mut txn = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => txn.compares.push(Compare::parse(message_of(field)?)?),
                2 => txn.success.push(Op::parse(message_of(field)?, depth)?),
                3 => txn.failure.push(Op::parse(message_of(field)?, depth)?),
                number => return Err(RequestError::Field(number)),
            }
        }
        Ok(txn)
    }

    /// All operations of both branches, those of nested transactions too.
    pub fn all_ops<'t>(&'t self, each: &mut dyn FnMut(&'t Op<'a>)) {
        for op in self.success.iter().chain(&self.failure) {
            match op {
                Op::Txn(txn) => txn.all_ops(each),
                op => each(op),
            }
        }
    }
}

impl<'a> Op<'a> {
    fn parse(message: &'a [u8], depth: u32) -> Result<Self, RequestError> {
        let mut op = Self::Nothing;
        for field in Fields::of(message) {
            let field = field?;
            op = match field.number {
                1 => Self::Range(Range::parse(message_of(field)?)?),
                2 => Self::Put(Put::parse(message_of(field)?)?),
                3 => Self::Delete(KeyRange::parse(message_of(field)?, &[3])?),
                4 => Self::Txn(Txn::parse(message_of(field)?, depth.saturating_add(1))?),
                number => return Err(RequestError::Field(number)),
            };
        }
        Ok(op)
    }
}

impl<'a> Compare<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, RequestError> {
        let (mut keys, mut result, mut target) = (KeyRange::default(), 0, 0);
        let (mut numbers, mut value) = ([0; 4], &[][..]);
        for field in Fields::of(message) {
            let field = field?;
            let [version, create_revision, mod_revision, lease] = &mut numbers;
            match field.number {
                1 => result = varint_of(field)?,
                2 => target = varint_of(field)?,
                3 => keys.key = bytes_of(field)?,
                4 => *version = signed_of(field)?,
                5 => *create_revision = signed_of(field)?,
                6 => *mod_revision = signed_of(field)?,
                7 => value = bytes_of(field)?,
                8 => *lease = signed_of(field)?,
                64 => keys.range_end = bytes_of(field)?,
                number => return Err(RequestError::Field(number)),
            }
        }
        let [version, create_revision, mod_revision, lease] = numbers;
        let result = match result {
            0 => CompareResult::Equal,
            1 => CompareResult::Greater,
            2 => CompareResult::Less,
            3 => CompareResult::NotEqual,
            _ => return Err(RequestError::Value("comparison")),
        };
        let target = match target {
            0 => CompareTarget::Version(version),
            1 => CompareTarget::CreateRevision(create_revision),
            2 => CompareTarget::ModRevision(mod_revision),
            3 => CompareTarget::Value(value),
            4 => CompareTarget::Lease(lease),
            _ => return Err(RequestError::Value("compared field")),
        };
        Ok(Self { keys, result, target })
    }
}
