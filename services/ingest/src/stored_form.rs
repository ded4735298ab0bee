//! How long JSON is once jsonb prints it: numbers are written out, and a space follows each comma and colon.

/// The bytes that Postgres prints for valid JSON, or a few more: what only shrinks (escapes, keys) is counted as it is.
pub(crate) fn printed_len(json: &str) -> usize {
    let bytes = json.as_bytes();
    let (mut at, mut len) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        let end = match byte {
            b'"' => string_end(bytes, at),
            b'-' | b'0'..=b'9' => number_end(bytes, at),
            _ => at + 1,
        };
        let token = &json[at..end];
        len = len.saturating_add(match byte {
            b',' | b':' => 2,
            b'-' | b'0'..=b'9' => number_len(token),
            _ if byte.is_ascii_whitespace() => 0,
            _ => token.len(),
        });
        at = end;
    }
    len
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    start + bytes[start..].iter().take_while(|byte| part(byte)).count()
}

/// A number as `numeric` prints it: every digit that its exponent moves, and none left out.
fn number_len(number: &str) -> usize {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or((0, whole), |whole| (1, whole));
    // no body is as long as that, so it stands for every larger one
    let exponent = exponent.parse::<i64>().unwrap_or(i64::from(i32::MAX));
    let signed = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let before = signed(whole.len()).saturating_add(exponent).max(1);
    let after = signed(fraction.len()).saturating_sub(exponent).max(0);
    let point = i64::from(after > 0);
    usize::try_from(before.saturating_add(after).saturating_add(point).saturating_add(sign))
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_are_written_out() {
        for (json, printed) in [
            ("1e308", 309),
            ("-1.5e3", "-1500".len()),
            ("1E-3", "0.001".len()),
            ("12.50", 5),
            ("0", 1),
            ("1e999999999999999999999", i32::MAX as usize + 1),
            (r#"{"a":[1,2],"b\"":"x y"}"#, r#"{"a": [1, 2], "b\"": "x y"}"#.len()),
            (" [ 1 , 2 ] ", "[1, 2]".len()),
        ] {
            assert_eq!(printed_len(json), printed, "{json}");
        }
    }
}
