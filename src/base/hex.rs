//! Lower-case hex digits, for ids and keys that people copy.

/// Appends two digits for each byte.
pub fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).expect("a half byte is a hex digit"));
        }
    }
}

/// `N` bytes from exactly `2 * N` lower-case digits.
pub fn hex_array<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (hex_digit(*high)? << 4) | hex_digit(*low)?;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_bytes_and_back() {
        let mut text = String::new();
        push_hex(&mut text, &[0x00, 0x9a, 0xff]);
        assert_eq!(text, "009aff");
        assert_eq!(hex_array(&text), Some([0x00, 0x9a, 0xff]));
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in ["", "0", "00", "000", "00000", "0A00", "0g00", "é00"] {
            assert_eq!(hex_array::<2>(wrong), None, "{wrong:?}");
        }
    }
}
