//! What a request asks for besides its path: a coding, or only what has changed (RFC 9110).

use axum::http::{HeaderMap, HeaderValue, header};

/// Whether the client has `tag` already: `If-None-Match` compares weakly.
pub(super) fn has_it(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str().map(opaque) else { return false };
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).any(|one| one.trim() == "*" || opaque(one) == tag)
}

/// Whether gzip may be sent: it is named, or everything is, and not with weight 0.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut everything = false;
    for coding in given.flat_map(|value| value.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|text| text.parse::<f64>().ok());
        let is_wanted = weight.unwrap_or(1.0) > 0.0;
        match name.as_str() {
            "gzip" | "x-gzip" => return is_wanted,
            "*" => everything = is_wanted,
            _ => {}
        }
    }
    everything
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn tags_are_compared_weakly_in_any_list() {
        let tag = HeaderValue::from_static("W/\"abc\"");
        for (given, expected) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"x\", W/\"abc\"", true),
            ("*", true),
            ("\"x\"", false),
            ("abc", false),
        ] {
            assert_eq!(has_it(&headers(header::IF_NONE_MATCH, &[given]), &tag), expected, "{given}");
        }
        assert!(has_it(&headers(header::IF_NONE_MATCH, &["\"x\"", "\"abc\""]), &tag), "of several headers");
        assert!(!has_it(&HeaderMap::new(), &tag));
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (given, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, *", false),
            ("*", true),
            ("identity", false),
            ("*;q=0", false),
        ] {
            assert_eq!(takes_gzip(&headers(header::ACCEPT_ENCODING, &[given])), expected, "{given}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
