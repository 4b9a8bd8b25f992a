//! Requests of the API before v3 (`api/etcdserverpb/etcdserver.proto`, `Request`).

use crate::protobuf::{Fields, Value};

use super::RequestError;
use super::fields::bytes_of;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct V2Request<'a> {
    /// As `PUT`.
    pub method: &'a str,
    /// As `/0/members/8e9e05c52164694d/attributes`.
    pub path: &'a str,
    pub value: &'a [u8],
}

/// What a v2 request changes of what the db has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum V2Effect<'a> {
    /// The version that all members speak.
    ClusterVersion(&'a str),
    /// A member's name and client URLs, as JSON.
    MemberAttributes { member_id: u64, json: &'a [u8] },
    /// Only the v2 store, which is in no db.
    Nothing,
}

/// Methods of requests that come into the log (`server/etcdserver/api/v2http`, `v2_server.go`).
const METHODS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "QGET", "SYNC", "HEAD"];
/// Numbers of its fields.
const MAX_FIELD: u32 = 18;

impl<'a> V2Request<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(message: &'a [u8]) -> Result<Self, RequestError> {
        let (mut method, mut path, mut value) = (None, "", &[][..]);
        for field in Fields::of(message) {
            let field = field?;
            let text = |bytes| str::from_utf8(bytes).map_err(|_| RequestError::Type(field.number));
            match (field.number, field.value) {
                (2, Value::Bytes(bytes)) => method = Some(text(bytes)?),
                (3, Value::Bytes(bytes)) => path = text(bytes)?,
                (4, _) => value = bytes_of(field)?,
                (2 | 3, _) => return Err(RequestError::Type(field.number)),
                (1..=MAX_FIELD, _) => {}
                (number, _) => return Err(RequestError::Field(number)),
            }
        }
        match method {
            Some(method) if METHODS.contains(&method) => Ok(Self { method, path, value }),
            _ => Err(RequestError::Value("method")),
        }
    }

    /// What it changes of what the db has (`server/etcdserver/api/membership/cluster.go`, `UpdateAttributes`, `SetVersion`; etcd
    /// 3.6's `apply_v2.go`, `v2ToV3Request`).
    pub fn effect(&self) -> V2Effect<'a> {
        if self.method != "PUT" {
            return V2Effect::Nothing;
        }
        if self.path == "/0/version" {
            return str::from_utf8(self.value).map_or(V2Effect::Nothing, V2Effect::ClusterVersion);
        }
        let member = self.path.strip_prefix("/0/members/").and_then(|rest| rest.strip_suffix("/attributes"));
        let member_id = member.and_then(|id| u64::from_str_radix(id, 16).ok());
        member_id.map_or(V2Effect::Nothing, |member_id| V2Effect::MemberAttributes {
            member_id,
            json: self.value,
        })
    }
}
