//! Whether a key is a Secret's.
//!
//! `/registry/secrets/NAMESPACE/NAME` and the like under any prefix: OpenShift's, a tenant's, kcp's with a group before and a
//! cluster behind. A segment `secrets` may be a namespace or a name as well. That is believed in two cases only: the key is
//! a built-in resource's, and of just the segments that this has; or the value says of itself what a segment before says.

use super::super::Layout;
use super::super::render::render;

const RESOURCE: &[u8] = b"secrets";

/// Whether it is; in case of doubt, yes.
pub(super) fn is_secret(layout: &Layout<'_>, key: &[u8], value: &[u8]) -> bool {
    let segments = || key.split(|byte| *byte == b'/');
    let Some(place) = segments().position(|segment| segment.eq_ignore_ascii_case(RESOURCE)) else {
        return false;
    };
    let other_resource = layout
        .built_in(key)
        .is_some_and(|object| object.resource != RESOURCE && !object.name.contains(&b'/'));
    !other_resource && !says_what_is_before(value, segments().take(place))
}

/// Whether a value is an object of another kind, whose plural or group is one of these segments.
fn says_what_is_before<'k>(value: &[u8], mut before: impl Iterator<Item = &'k [u8]>) -> bool {
    let Ok(rendered) = render(value) else { return false };
    let text = |name: &str| rendered.object.get(name).and_then(serde_json::Value::as_str).unwrap_or("");
    let kind = text("kind").to_ascii_lowercase();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    let plurals =
        [format!("{kind}s"), format!("{kind}es"), format!("{}ies", kind.strip_suffix('y').unwrap_or(&kind))];
    let is_plural = |segment: &[u8]| plurals.iter().any(|plural| segment == plural.as_bytes());
    let is_group = |segment: &[u8]| group.contains('.') && segment == group.as_bytes();
    let certain = rendered.overwritten.is_empty() && !kind.is_empty();
    certain && before.any(|segment| is_plural(segment) || is_group(segment))
}
