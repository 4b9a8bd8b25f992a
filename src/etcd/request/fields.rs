//! The fields of a message: the last of a number counts, and one that is not there is 0 or empty, as protobuf has it.

use crate::protobuf::{Field, Fields, Value};

use super::RequestError;

pub(super) fn varint_of(field: Field<'_>) -> Result<u64, RequestError> {
    match field.value {
        Value::Varint(value) => Ok(value),
        _ => Err(RequestError::Type(field.number)),
    }
}

pub(super) fn signed_of(field: Field<'_>) -> Result<i64, RequestError> {
    varint_of(field).map(u64::cast_signed)
}

pub(super) fn bytes_of(field: Field<'_>) -> Result<&[u8], RequestError> {
    match field.value {
        Value::Bytes(value) => Ok(value),
        _ => Err(RequestError::Type(field.number)),
    }
}

pub(super) fn message_of(field: Field<'_>) -> Result<&[u8], RequestError> {
    bytes_of(field)
}

fn text(field: Field<'_>) -> Result<&str, RequestError> {
    str::from_utf8(bytes_of(field)?).map_err(|_| RequestError::Type(field.number))
}

/// The number in field `wanted`. It may have fields of the numbers in `others`, and no more.
pub(super) fn number_of(message: &[u8], wanted: u32, others: &[u32]) -> Result<i64, RequestError> {
    let mut number = 0;
    each(message, wanted, others, |field| {
        number = signed_of(field)?;
        Ok(())
    })?;
    Ok(number)
}

/// The text in field `wanted`.
pub(super) fn text_of<'a>(
    message: &'a [u8],
    wanted: u32,
    others: &[u32],
) -> Result<&'a str, RequestError> {
    Ok(texts_of(message, wanted, others)?.last().copied().unwrap_or_default())
}

/// All texts in fields `wanted`.
pub(super) fn texts_of<'a>(
    message: &'a [u8],
    wanted: u32,
    others: &[u32],
) -> Result<Vec<&'a str>, RequestError> {
    let mut texts = Vec::new();
    each(message, wanted, others, |field| {
        texts.push(text(field)?);
        Ok(())
    })?;
    Ok(texts)
}

fn each<'a>(
    message: &'a [u8],
    wanted: u32,
    others: &[u32],
    mut take: impl FnMut(Field<'a>) -> Result<(), RequestError>,
) -> Result<(), RequestError> {
    for field in Fields::of(message) {
        let field = field?;
        match field.number {
            number if number == wanted => take(field)?,
            number if others.contains(&number) => {}
            number => return Err(RequestError::Field(number)),
        }
    }
    Ok(())
}
