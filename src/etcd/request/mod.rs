//! What an entry of the log asks for (`api/etcdserverpb/raft_internal.proto`, `rpc.proto`, `etcdserver.proto`), as etcd from 3.4 to
//! 3.8 writes it.
//!
//! | file | what is in it |
//! |---|---|
//! | [`txn`] | transactions: compares, and the operations of both branches |
//! | [`v2`] | requests of the API before v3, which members of 3.4 and 3.5 still write of themselves |
//! | `fields` | the fields of a message |
//!
//! An entry's data is an `InternalRaftRequest`, or, up to etcd 3.5, a bare v2 request: etcd tries the one, and then the other
//! (`server/etcdserver/server.go`, `applyEntryNormal`).

#![deny(clippy::arithmetic_side_effects)]

mod fields;
pub mod txn;
pub mod v2;

use thiserror::Error;

use crate::protobuf::{Fields, WireError};

use fields::{bytes_of, message_of, number_of, signed_of, text_of, varint_of};
pub use txn::{Compare, CompareResult, CompareTarget, Op, Txn};
pub use v2::V2Request;

/// An entry's data that is no request which is known here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RequestError {
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A field that no etcd from 3.4 to 3.8 writes there.
    #[error("a request has the unknown field {0}")]
    Field(u32),
    /// A field of another type than its own.
    #[error("field {0} is not of its type")]
    Type(u32),
    /// Several requests in one, or none.
    #[error("it is not one request")]
    NotOne,
    /// A put without a key, which etcd takes from nobody (`server/etcdserver/api/v3rpc/key.go`, `checkPutRequest`): its record would be
    /// none.
    #[error("it puts a value without a key")]
    NoKey,
    /// A number that means nothing.
    #[error("its {0} is unknown")]
    Value(&'static str),
    /// Transactions within transactions.
    #[error("its transactions are nested more than {0} deep")]
    TooDeep(u32),
}

/// An entry's request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// Who asked for it; empty where authentication was off.
    pub user: &'a [u8],
    pub action: Action<'a>,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action<'a> {
    /// Nothing: a new leader's first entry.
    Nothing,
    Range(Range<'a>),
    Put(Put<'a>),
    Delete(KeyRange<'a>),
    Txn(Txn<'a>),
    Compact {
        revision: i64,
    },
    LeaseGrant {
        id: i64,
        /// Seconds.
        ttl: i64,
    },
    LeaseRevoke {
        id: i64,
    },
    /// What is left of leases' time, as (id, seconds).
    LeaseCheckpoint(Vec<(i64, i64)>),
    Alarm {
        action: AlarmAction,
        member_id: u64,
        /// 1 for NOSPACE, 2 for CORRUPT; 0 for all.
        alarm: i32,
    },
    /// A change of users, roles, or of authentication itself.
    Auth(AuthAction<'a>),
    ClusterVersion(&'a str),
    MemberAttributes {
        member_id: u64,
        name: &'a str,
        client_urls: Vec<&'a str>,
    },
    Downgrade {
        enabled: bool,
        version: &'a str,
    },
    V2(V2Request<'a>),
}

/// One key, or those from it on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyRange<'a> {
    pub key: &'a [u8],
    /// The first key after the range; empty for the key alone, one zero byte for all keys from it on.
    pub range_end: &'a [u8],
}

/// A read, which changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Range<'a> {
    pub keys: KeyRange<'a>,
    /// 0 for the current one.
    pub revision: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Put<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    /// 0 for none.
    pub lease: i64,
    /// Whether the key keeps its value.
    pub ignore_value: bool,
    /// Whether the key keeps its lease.
    pub ignore_lease: bool,
}

/// What is done with alarms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlarmAction {
    Get,
    Raise,
    Disarm,
}

/// A request of the authentication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthAction<'a> {
    /// Its name, as `user-add`.
    pub name: &'static str,
    /// The user or the role; empty where it has none.
    pub subject: &'a [u8],
    /// Whether it only asks.
    pub only_reads: bool,
}

impl<'a> KeyRange<'a> {
    /// A range of which nothing is known yet: one key.
    fn parse(message: &'a [u8], also: &[u32]) -> Result<Self, RequestError> {
        let mut range = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => range.key = bytes_of(field)?,
                2 => range.range_end = bytes_of(field)?,
                number if also.contains(&number) => {}
                number => return Err(RequestError::Field(number)),
            }
        }
        Ok(range)
    }

    /// Whether it is one key.
    pub fn is_one(&self) -> bool {
        self.range_end.is_empty()
    }

    /// Whether a key is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self.range_end {
            [] => key == self.key,
            [0] => key >= self.key,
            end => key >= self.key && key < end,
        }
    }
}

impl<'a> Range<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, RequestError> {
        let mut range = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => range.keys.key = bytes_of(field)?,
                2 => range.keys.range_end = bytes_of(field)?,
                4 => range.revision = signed_of(field)?,
                // limit, order, what is given back
                3 | 5..=13 => {}
                number => return Err(RequestError::Field(number)),
            }
        }
        Ok(range)
    }
}

impl<'a> Put<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, RequestError> {
        let mut put = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => put.key = bytes_of(field)?,
                2 => put.value = bytes_of(field)?,
                3 => put.lease = signed_of(field)?,
                4 => {}
                5 => put.ignore_value = varint_of(field)? != 0,
                6 => put.ignore_lease = varint_of(field)? != 0,
                number => return Err(RequestError::Field(number)),
            }
        }
        if put.key.is_empty() {
            return Err(RequestError::NoKey);
        }
        Ok(put)
    }
}

impl<'a> Request<'a> {
    /// Reads an entry's data.
    ///
    /// # Errors
    /// It is no request that an etcd from 3.4 to 3.8 writes.
    pub fn parse(data: &'a [u8]) -> Result<Self, RequestError> {
        match Self::of_raft(data) {
            // the names of its methods are no messages, so a bare v2 request is never taken for one of raft's
            Err(error) => match V2Request::parse(data) {
                Ok(request) => Ok(Self { user: &[], action: Action::V2(request) }),
                Err(_) => Err(error),
            },
            request => request,
        }
    }

    fn of_raft(data: &'a [u8]) -> Result<Self, RequestError> {
        let (mut user, mut action) = (None, None);
        for field in Fields::of(data) {
            let field = field?;
            let found = match field.number {
                // its id: whoever waits for the answer finds it by this
                1 => {
                    varint_of(field)?;
                    continue;
                }
                100 => {
                    if user.replace(header_user(message_of(field)?)?).is_some() {
                        return Err(RequestError::NotOne);
                    }
                    continue;
                }
                number => Action::of_field(number, message_of(field)?)?,
            };
            if action.replace(found).is_some() {
                return Err(RequestError::NotOne);
            }
        }
        match action {
            Some(action) => Ok(Self { user: user.unwrap_or_default(), action }),
            None if data.is_empty() => Ok(Self { user: &[], action: Action::Nothing }),
            None => Err(RequestError::NotOne),
        }
    }
}

impl<'a> Action<'a> {
    fn of_field(number: u32, message: &'a [u8]) -> Result<Self, RequestError> {
        Ok(match number {
            2 => Self::V2(V2Request::parse(message)?),
            3 => Self::Range(Range::parse(message)?),
            4 => Self::Put(Put::parse(message)?),
            5 => Self::Delete(KeyRange::parse(message, &[3])?),
            6 => Self::Txn(Txn::parse(message, 0)?),
            7 => Self::Compact { revision: number_of(message, 1, &[2])? },
            8 => Self::LeaseGrant { ttl: number_of(message, 1, &[2])?, id: number_of(message, 2, &[1])? },
            9 => Self::LeaseRevoke { id: number_of(message, 1, &[])? },
            10 => Self::alarm(message)?,
            11 => Self::checkpoints(message)?,
            1000..=1299 => Self::Auth(AuthAction::parse(number, message)?),
            1300 => Self::ClusterVersion(text_of(message, 1, &[])?),
            1301 => Self::attributes(message)?,
            1302 => Self::Downgrade {
                enabled: number_of(message, 1, &[2])? != 0,
                version: text_of(message, 2, &[1])?,
            },
            number => return Err(RequestError::Field(number)),
        })
    }

    fn alarm(message: &'a [u8]) -> Result<Self, RequestError> {
        let action = match number_of(message, 1, &[2, 3])? {
            0 => AlarmAction::Get,
            1 => AlarmAction::Raise,
            2 => AlarmAction::Disarm,
            _ => return Err(RequestError::Value("alarm action")),
        };
        let alarm = i32::try_from(number_of(message, 3, &[1, 2])?);
        let member_id = number_of(message, 2, &[1, 3])?.cast_unsigned();
        Ok(Self::Alarm { action, member_id, alarm: alarm.map_err(|_| RequestError::Value("alarm"))? })
    }

    fn checkpoints(message: &'a [u8]) -> Result<Self, RequestError> {
        let mut checkpoints = Vec::new();
        for field in Fields::of(message) {
            let field = field?;
            if field.number != 1 {
                return Err(RequestError::Field(field.number));
            }
            let checkpoint = message_of(field)?;
            checkpoints.push((number_of(checkpoint, 1, &[2])?, number_of(checkpoint, 2, &[1])?));
        }
        Ok(Self::LeaseCheckpoint(checkpoints))
    }

    fn attributes(message: &'a [u8]) -> Result<Self, RequestError> {
        let (mut member_id, mut name, mut client_urls) = (0, "", Vec::new());
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => member_id = varint_of(field)?,
                2 => {
                    let attributes = message_of(field)?;
                    name = text_of(attributes, 1, &[2])?;
                    client_urls = fields::texts_of(attributes, 2, &[1])?;
                }
                number => return Err(RequestError::Field(number)),
            }
        }
        Ok(Self::MemberAttributes { member_id, name, client_urls })
    }
}

/// The user of a request's header.
fn header_user(message: &[u8]) -> Result<&[u8], RequestError> {
    let mut user = &[][..];
    for field in Fields::of(message) {
        let field = field?;
        match field.number {
            2 => user = bytes_of(field)?,
            // its id, and the revision of the authentication
            1 | 3 => {
                varint_of(field)?;
            }
            number => return Err(RequestError::Field(number)),
        }
    }
    Ok(user)
}

/// The requests of the authentication, by their fields, and whether each only asks.
const AUTH: [(u32, &str, bool); 17] = [
    (1000, "auth-enable", false),
    (1011, "auth-disable", false),
    (1012, "authenticate", true),
    (1013, "auth-status", true),
    (1100, "user-add", false),
    (1101, "user-delete", false),
    (1102, "user-get", true),
    (1103, "user-change-password", false),
    (1104, "user-grant-role", false),
    (1105, "user-revoke-role", false),
    (1106, "user-list", true),
    (1107, "role-list", true),
    (1200, "role-add", false),
    (1201, "role-delete", false),
    (1202, "role-get", true),
    (1203, "role-grant-permission", false),
    (1204, "role-revoke-permission", false),
];

impl<'a> AuthAction<'a> {
    fn parse(number: u32, message: &'a [u8]) -> Result<Self, RequestError> {
        let found = AUTH.iter().find(|(field, ..)| *field == number);
        let &(_, name, only_reads) = found.ok_or(RequestError::Field(number))?;
        // each that is of a user or a role begins with its name
        let first = Fields::of(message).find_map(|field| field.ok().filter(|field| field.number == 1));
        let subject = first.and_then(|field| bytes_of(field).ok()).unwrap_or_default();
        Ok(Self { name, subject, only_reads })
    }
}
