//! Changes to a protobuf message of which one field is another; the lengths of all messages around it are right again.

use prost::encoding::{decode_varint, encode_varint};

use super::random::Random;

/// A field's content, of the wire types that the log has.
#[derive(Clone)]
enum Content {
    Number(u64),
    Bytes(Vec<u8>),
}

type Fields = Vec<(u64, Content)>;

/// Bytes that a key, a value or a name may become.
const WORDS: [&[u8]; 8] = [b"", b"\0", b"a", b"b", b"\xff\xff", b"3.5.0", b"/0/version", &[b'x'; 300]];

/// The fields of a message; `None` for what is none, or is empty.
fn fields(mut message: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    while !message.is_empty() {
        let tag = decode_varint(&mut message).ok()?;
        let content = match tag & 7 {
            0 => Content::Number(decode_varint(&mut message).ok()?),
            2 => {
                let len = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
                let (bytes, rest) = message.split_at_checked(len)?;
                message = rest;
                Content::Bytes(bytes.to_vec())
            }
            _ => return None,
        };
        fields.push((tag >> 3, content));
    }
    (!fields.is_empty() && fields.iter().all(|(number, _)| *number > 0)).then_some(fields)
}

fn encoded(fields: &Fields) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, content) in fields {
        match content {
            Content::Number(value) => {
                encode_varint(number << 3, &mut message);
                encode_varint(*value, &mut message);
            }
            Content::Bytes(bytes) => {
                encode_varint(number << 3 | 2, &mut message);
                encode_varint(bytes.len() as u64, &mut message);
                message.extend_from_slice(bytes);
            }
        }
    }
    message
}

/// Changes a message in one field, at whatever depth.
pub fn change_message(message: &mut Vec<u8>, random: &mut Random) {
    let Some(mut fields) = fields(message) else { return change_bytes(message, random) };
    let at = random.index(fields.len());
    match random.below(12) {
        0 => {
            fields.remove(at);
        }
        1 => fields.insert(at, fields[at].clone()),
        2 => {
            let other = random.index(fields.len());
            fields.swap(at, other);
        }
        3 => fields[at].0 = random.one_of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 64, 100, 1000, 1300, 1301, 1302]),
        _ => match &mut fields[at].1 {
            Content::Number(number) => *number = other_number(*number, random),
            Content::Bytes(bytes) => change_message(bytes, random),
        },
    }
    *message = encoded(&fields);
}

/// A number that is near a right one, or far off.
fn other_number(number: u64, random: &mut Random) -> u64 {
    let any = random.next();
    let near = [number ^ 1, number.wrapping_sub(1), number.wrapping_add(1), number.wrapping_add(50)];
    random.one_of(&[0, 1, 2, near[0], near[1], near[2], near[3], i64::MAX as u64, 1 << 63, u64::MAX, any])
}

fn change_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() || random.percent(40) {
        *bytes = random.one_of(&WORDS).to_vec();
        return;
    }
    let at = random.index(bytes.len());
    match random.below(3) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes.truncate(at),
        _ => bytes.insert(at, bytes[at]),
    }
}
