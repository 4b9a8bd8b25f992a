//! What a key and a value mean to Kubernetes: key → group, resource, namespace and name;
//! value → encoding, group, version and kind.
//!
//! ```text
//!   key ──► Layout::classify ──► ObjectKey            (where it belongs, a row of the report)
//!              │        ▲
//!              │        └ learn: finds a `--etcd-prefix`, and kcp's logical clusters, from readable values
//!              ├─► key: Kubernetes' paths; logical: kcp's
//!              ├─► resources: the paths that kube-apiserver and OpenShift compile in
//!              └─► value::type_meta, only where the path leaves the group open
//!   value ──► value::Encoding::of     (O(1): the first bytes)
//!          └► object::read            (the fields that tell whether it is garbage)
//!         ├─► metadata                (its name, its namespace, when it was created)
//!         └─► render                  (the whole object, as JSON and YAML)
//!                └─► secret           (what of it may be shown)
//! ```
//!
//! Keys and values come from files that nobody vouches for. So nothing here panics, recurses on
//! data or takes more than linear time; what can't be read is `None` or a fallback row.

mod group_resource;
pub mod key;
mod layout;
mod learn;
mod logical;
pub mod metadata;
pub mod object;
pub mod render;
pub mod resources;
pub mod secret;
#[cfg(test)]
mod tests;
pub mod value;
mod wire;

pub use group_resource::{GroupResource, resource_name};
pub use key::{ObjectKey, Tenant};
pub use layout::KeyLayout;
pub use value::{Encoding, TypeMeta, ValueKind, type_meta};
