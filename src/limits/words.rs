//! Numbers as they are told.

/// A share, to six digits, so that the same counts give the same bytes everywhere; 0 of nothing.
#[allow(clippy::cast_precision_loss)] // counts stay far below 2^52
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { rounded(part as f64 / whole as f64, 1e6) }
}

/// To a digit: `digits` is 10 for one, 100 for two.
pub(super) fn rounded(value: f64, digits: f64) -> f64 {
    (value * digits).round() / digits
}

/// `12,345`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3.4 %`, and never `0.0 %` of something.
#[must_use]
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    match value {
        _ if value == 0.0 => "0 %".to_owned(),
        _ if value < 0.01 => "< 0.01 %".to_owned(),
        _ if value < 1.0 => format!("{value:.2} %"),
        _ => format!("{value:.1} %"),
    }
}

/// `1 customer`, `2 customers`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}
