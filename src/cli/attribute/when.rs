//! Times as tables write them.

/// Epoch milliseconds of a time: a number of seconds, milli-, micro- or nanoseconds, told apart by size; RFC 3339; a date
/// and time without a zone (UTC); a date.
pub(in crate::cli) fn epoch_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return of_number(number);
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(moment.as_millisecond());
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

fn of_number(number: f64) -> Option<i64> {
    // Seconds reach 10^11 in the year 5138, and milliseconds did so in 1973.
    let ms = match number.abs() {
        size if size < 1e11 => number * 1e3,
        size if size < 1e14 => number,
        size if size < 1e17 => number / 1e3,
        size if size < 1e20 => number / 1e6,
        _ => return None,
    };
    Some(ms.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_in_many_ways() {
        for text in [
            "1596697740",
            "1596697740.0",
            "1596697740000",
            "1596697740000000",
            "1596697740000000000",
            "2020-08-06T07:09:00Z",
            "2020-08-06T09:09:00+02:00",
            "2020-08-06 07:09:00",
            "2020-08-06T07:09",
        ] {
            assert_eq!(epoch_ms(text), Some(1_596_697_740_000), "{text}");
        }
        assert_eq!(epoch_ms("2020-08-06"), Some(1_596_672_000_000));
        for text in ["", "noon", "inf", "NaN", "12:30"] {
            assert_eq!(epoch_ms(text), None, "{text}");
        }
    }
}
