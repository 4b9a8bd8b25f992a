//! CRC-32C (Castagnoli), of bytes and of parts that were read side by side.

#![deny(clippy::arithmetic_side_effects)]

/// The CRC-32C of some bytes, and their number: two that lie one after the other can be made one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Crc {
    value: u32,
    len: u64,
}

/// The polynomial, its highest power in the lowest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// The polynomials 1 and x⁸, written so: appending a byte multiplies by x⁸.
const ONE: u32 = 1 << 31;
const ONE_BYTE: u32 = 1 << 23;

impl Crc {
    pub fn of(bytes: &[u8]) -> Self {
        let mut crc = Self::default();
        crc.update(bytes);
        crc
    }

    /// Adds bytes at the end.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.value = crc32c::crc32c_append(self.value, bytes);
        self.len = self.len.saturating_add(bytes.len() as u64);
    }

    /// Adds bytes of which only the CRC is known at the end.
    ///
    /// Here and not by the library's own means, which takes 12 µs for it, as long as for 250 KB of data: a tree has
    /// thousands of parts.
    pub fn append(&mut self, next: Self) {
        self.value = multiply(self.value, power_of_bytes(next.len)) ^ next.value;
        self.len = self.len.saturating_add(next.len);
    }

    pub fn value(self) -> u32 {
        self.value
    }
}

/// x to the power of eight times `bytes`.
fn power_of_bytes(mut bytes: u64) -> u32 {
    let (mut power, mut square) = (ONE, ONE_BYTE);
    while bytes > 0 {
        if bytes & 1 != 0 {
            power = multiply(power, square);
        }
        square = multiply(square, square);
        bytes >>= 1;
    }
    power
}

/// The product of two polynomials over the field of two elements, modulo [`POLYNOMIAL`].
fn multiply(one: u32, mut other: u32) -> u32 {
    let mut product = 0;
    for power in (0..u32::BITS).rev() {
        if one & (1 << power) != 0 {
            product ^= other;
        }
        other = (other >> 1) ^ if other & 1 != 0 { POLYNOMIAL } else { 0 };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue() {
        assert_eq!(Crc::of(b"123456789").value(), 0xe306_9283);
        assert_eq!(Crc::default().value(), Crc::of(b"").value());
    }

    #[test]
    fn parts_add_up_to_the_whole_wherever_they_are_cut() {
        let bytes: Vec<u8> = (0..1000u32).map(|number| ((number * number) >> 3) as u8).collect();
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let mut crc = Crc::of(first);
            crc.append(Crc::of(second));
            assert_eq!(crc, Crc::of(&bytes), "{cut}");
        }
    }

    /// The library's own way, for lengths that no test holds in memory.
    #[test]
    fn long_parts_are_appended_as_the_library_does() {
        for len in [1, 255, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 33) + 12345, 1 << 40] {
            let mut crc = Crc { value: 0x1234_5678, len: 7 };
            crc.append(Crc { value: 0x9abc_def0, len });
            let expected = crc32c::crc32c_combine(0x1234_5678, 0x9abc_def0, len as usize);
            assert_eq!((crc.value, crc.len), (expected, len + 7), "{len}");
        }
    }
}
