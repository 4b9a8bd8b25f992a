//! A resource as Kubernetes names it: by its group and its plural.

use crate::text::escape;

/// What `k8s.io/apimachinery/pkg/runtime/schema` calls a `GroupResource`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupResource<'a> {
    pub group: &'a str,
    /// The plural, or the leading path of what isn't Kubernetes'.
    pub resource: &'a [u8],
}

impl GroupResource<'_> {
    /// What keys belong to whose leading path got no row of its own.
    pub const OTHERS: Self = Self { group: "", resource: b"(other keys)" };

    /// Whether it is a leading path rather than a resource of Kubernetes'.
    pub fn is_foreign(&self) -> bool {
        self.group.is_empty() && (self.resource.starts_with(b"/") || self.resource == Self::OTHERS.resource)
    }
}

/// `deployments.apps`, as kubectl takes it; harmless, as the resource must be already.
pub fn resource_name(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{}", escape(group.as_bytes())) }
}
