//! What a key and a value mean to Kubernetes: key → group, resource, namespace and name;
//! value → encoding, group, version and kind.
//!
//! ```text
//!   key ──► key::Layout::classify ──► ObjectKey       (where it belongs, a row of the report)
//!              │        ▲
//!              │        └ learn: finds a `--etcd-prefix` from readable values
//!              ├─► resources: the paths that kube-apiserver and OpenShift compile in
//!              └─► value::type_meta, only where the path leaves the group open
//!   value ──► value::Encoding::of     (O(1): the first bytes)
//!          └► object::read            (the fields that tell whether it is garbage)
//!         ├─► created                 (when the object was created)
//!         └─► render                  (the whole object, as JSON and YAML)
//!                └─► secret           (what of it may be shown)
//! ```
//!
//! Keys and values come from files that nobody vouches for. So nothing here panics, recurses on
//! data or takes more than linear time; what can't be read is `None` or a fallback row.

pub mod created;
pub mod key;
mod learn;
pub mod object;
pub mod render;
pub mod resources;
pub mod secret;
#[cfg(test)]
mod tests;
pub mod value;
mod wire;

pub use key::{Layout, ObjectKey};
pub use value::{Encoding, TypeMeta, type_meta};
