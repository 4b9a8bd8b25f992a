//! The fields of a message, each at most once.

#![deny(clippy::arithmetic_side_effects)]

use crate::protobuf::{Fields, Value};

use super::fault::MessageError;

/// What reading a message comes to.
pub(super) type Read<T> = Result<T, MessageError>;

/// The numbers of a message whose fields are numbers 1 to `N`, each at most once; what is not there is 0.
pub(super) fn numbers<const N: usize>(message: &[u8]) -> Read<[u64; N]> {
    let mut found = [None; N];
    for field in Fields::of(message) {
        let field = field?;
        let Value::Varint(value) = field.value else { return Err(MessageError::Field(field.number)) };
        set(&mut found, field.number, value)?;
    }
    Ok(found.map(Option::unwrap_or_default))
}

/// Keeps a field that was not there before.
pub(super) fn set<T>(found: &mut [Option<T>], number: u32, value: T) -> Read<()> {
    let slot = usize::try_from(number).ok().and_then(|number| found.get_mut(number.checked_sub(1)?));
    match slot {
        Some(slot @ None) => *slot = Some(value),
        _ => return Err(MessageError::Field(number)),
    }
    Ok(())
}
