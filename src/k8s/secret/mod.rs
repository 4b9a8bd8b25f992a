//! What of a value may be shown: all, but the data of Secrets.
//!
//! | file | what is in it |
//! |---|---|
//! | `path` | whether a key is a Secret's |
//! | `says` | whether an object says that it is a Secret |
//! | `redact` | a Secret without all that is not known to be harmless |
//! | `known` | what is known to be harmless |
//! | `echo` | whether a name repeats the data |
//! | `embedded` | whether a text, or bytes, hold a Secret |
//! | `unpack` | base64, hexadecimal digits, gzip, zlib and zip |
//!
//! A Secret is what lies under a Secret's key, what says that it is one, and any object that says so inside of another, be it
//! as an object, as text of JSON or YAML, or packed. Of it only what `known` lists is left. The rule errs on the safe
//! side: what can't be decided is not shown.

mod echo;
mod embedded;
mod known;
mod path;
mod redact;
mod says;
mod unpack;

use serde_json::Value;

use super::KeyLayout;
use super::render::{Rendered, Unrenderable, render};
use super::value::Encoding;

use embedded::Search;

/// Shows a value as an object, without the data of Secrets. Says whether something was left out.
///
/// # Errors
/// It is no object, or can't be read.
pub fn shown(layout: &KeyLayout<'_>, key: &[u8], value: &[u8]) -> Result<(Rendered, bool), Unrenderable> {
    let by_path = path::is_secret(layout, key, value);
    let mut rendered = render(value).map_err(|error| match error {
        Unrenderable::UnknownType { .. } if by_path => Unrenderable::UnreadableSecret,
        error => error,
    })?;
    let mut search = Search::of(value.len());
    let whole = by_path || says::is_secret(&rendered.object) || search.in_overwritten(&rendered.overwritten);
    let redacted = if whole {
        search.redact_secret(&mut rendered.object, key);
        true
    } else {
        search.redact_fields(&mut rendered.object)
    };
    Ok((rendered, redacted))
}

/// Whether a value's bytes may hold the data of a Secret: they do not where this says no.
pub fn may_be_in(layout: &KeyLayout<'_>, key: &[u8], value: &[u8]) -> bool {
    if path::is_secret(layout, key, value) {
        return true;
    }
    let mut search = Search::of(value.len());
    match render(value) {
        Ok(Rendered { mut object, overwritten, .. }) => {
            says::is_secret(&object)
                || search.in_overwritten(&overwritten)
                || search.redact_fields(&mut object)
                // protobuf may have fields that are not in the object
                || (matches!(Encoding::of(value), Encoding::Protobuf) && search.finds_in(value))
        }
        Err(Unrenderable::TooDeep | Unrenderable::TooLarge) => true,
        Err(Unrenderable::UnknownType { kind, .. }) if says::names_secret(&kind) => true,
        // nobody but Kubernetes writes these, and it writes them whole
        Err(Unrenderable::Malformed(_)) if !matches!(Encoding::of(value), Encoding::Json) => true,
        Err(_) => search.finds_in(value),
    }
}

/// What is in the place of what is not shown.
fn placeholder(bytes: usize) -> Value {
    Value::String(format!("REDACTED ({bytes} {})", if bytes == 1 { "byte" } else { "bytes" }))
}
