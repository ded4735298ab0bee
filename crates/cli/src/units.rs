//! Values with a unit, as people write them: `250ms`, `10s`, `5m`, `2/s`.

use std::time::Duration;

/// Reads `250ms`, `10s`, `5m`, `1h`, or bare seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("unknown unit {unit:?}; write 250ms, 10s, 5m or 1h")),
    };
    let number: f64 = number.parse().map_err(|_| "write 250ms, 10s, 5m or 1h".to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

/// Reads `2/s`, `30/m`, or a bare number a second, as a number a second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let (number, seconds) = match text.split_once('/') {
        None | Some((_, "s")) => (text.trim_end_matches("/s"), 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3_600.0),
        Some(_) => return Err("write 2/s, 30/m or 6/h".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "write 2/s, 30/m or 6/h".to_owned())?;
    if number.is_finite() && number > 0.0 {
        Ok(number / seconds)
    } else {
        Err("must be above zero".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        for bad in ["", "s", "3d", "-1s", "1e400s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_are_per_second() {
        assert_eq!(rate("2/s"), Ok(2.0));
        assert_eq!(rate("30/m"), Ok(0.5));
        assert_eq!(rate("7"), Ok(7.0));
        for bad in ["", "0/s", "-1", "2/d", "inf"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
