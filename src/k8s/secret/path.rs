//! Whether a key is a Secret's.
//!
//! `/registry/secrets/NAMESPACE/NAME` and the like under any prefix: OpenShift's, a tenant's, kcp's with a group before and a
//! cluster after. A segment `secrets` may be a namespace or a name as well. That is believed in two cases only: the key is
//! a built-in resource's, and of just the segments that this has; or the value says of itself what a segment before says.

use super::super::KeyLayout;
use super::super::render::render;

const RESOURCE: &[u8] = b"secrets";

/// Whether it is; in case of doubt, yes.
pub(super) fn is_secret(layout: &KeyLayout<'_>, key: &[u8], value: &[u8]) -> bool {
    let segments = || key.split(|byte| *byte == b'/');
    let Some(place) = segments().position(|segment| segment.eq_ignore_ascii_case(RESOURCE)) else {
        return false;
    };
    let other_resource = layout
        .built_in(key)
        .is_some_and(|object| object.resource != RESOURCE && !object.name.contains(&b'/'));
    !other_resource && !says_what_is_before(value, &segments().collect::<Vec<_>>(), place)
}

/// Whether a value is an object of another kind, whose plural or group is where it then has to, before the segment at `place`:
/// `…/widgets/NAMESPACE/NAME`, `…/widgets/NAME`, and the group right before the resource.
fn says_what_is_before(value: &[u8], segments: &[&[u8]], place: usize) -> bool {
    let Ok(rendered) = render(value) else { return false };
    let text = |name: &str| rendered.object.get(name).and_then(serde_json::Value::as_str).unwrap_or("");
    let kind = text("kind").to_ascii_lowercase();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    let plurals =
        [format!("{kind}s"), format!("{kind}es"), format!("{}ies", kind.strip_suffix('y').unwrap_or(&kind))];
    let certain = rendered.overwritten.is_empty() && !kind.is_empty();
    let names_it = |(at, segment): (usize, &&[u8])| {
        let behind = segments.len().saturating_sub(at.saturating_add(1));
        let is_plural = plurals.iter().any(|plural| *segment == plural.as_bytes());
        let is_group = group.contains('.') && *segment == group.as_bytes();
        (is_plural && (1..=2).contains(&behind))
            // the resource itself may be called `secrets`
            || (is_group && (2..=3).contains(&behind) && place > at.saturating_add(1))
    };
    certain && segments.iter().enumerate().take(place).any(names_it)
}
