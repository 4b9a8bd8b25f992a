//! Numbers as people read them, in one place.

use bytesize::ByteSize;

/// `1.5 MiB`: binary units, one decimal.
pub fn bytes(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// `100.0 GB (93.1 GiB)`: a disk, as it is sold and as programs show it.
pub fn disk(bytes: u64) -> String {
    let size = ByteSize::b(bytes);
    format!("{} ({})", size.display().si(), size.display().iec())
}

/// `5.2 h`: a span of time, in the unit that reads best.
#[expect(clippy::cast_precision_loss, reason = "rounded for people")]
pub fn span(seconds: u64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{:.0} min", seconds as f64 / 60.0),
        7200..172_800 => format!("{:.1} h", seconds as f64 / 3600.0),
        _ => format!("{:.1} days", seconds as f64 / 86400.0),
    }
}

pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 key`, `1,234 keys`; the number alone where there is no word.
pub fn count(number: u64, noun: &str) -> String {
    match (number, noun) {
        (_, "") => grouped(number),
        (1, _) => format!("1 {noun}"),
        (_, "entry") => format!("{} entries", grouped(number)),
        _ => format!("{} {noun}s", grouped(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(4_128_768), "3.9 MiB");
        assert_eq!(disk(100_000_000_000), "100.0 GB (93.1 GiB)");
        assert_eq!([0, 119, 600, 18_720, 432_000].map(span), ["0 s", "119 s", "10 min", "5.2 h", "5.0 days"]);
        assert_eq!(percent(0.4172), "41.7 %");
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 2].map(|number| count(number, "key")), ["0 keys", "1 key", "2 keys"]);
    }
}
