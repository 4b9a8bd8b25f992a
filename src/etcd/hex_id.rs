//! Ids as etcd's own tools print them.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// The id of a member or a lease, in hexadecimal digits. In JSON it is a string of these: as a number, jq 1.6 and JavaScript would
/// round it. It is read as the number that etcd's own JSON has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct HexId(pub u64);

/// Leases have signed ids, which etcd prints as if they were not.
impl From<i64> for HexId {
    fn from(id: i64) -> Self {
        Self(id.cast_unsigned())
    }
}

impl fmt::LowerHex for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl Serialize for HexId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:x}"))
    }
}

#[cfg(test)]
impl schemars::JsonSchema for HexId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HexId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(0|[1-9a-f][0-9a-f]{0,15})$" })
    }
}
