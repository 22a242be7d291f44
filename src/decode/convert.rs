//! Values of gateway logs in the units and shapes of events.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use super::combined::{method_and_target, moment};
use super::combined_names::route_of;
use super::native_fields::{NAME_BYTES_MAX, whole};
use super::scalar::Scalar;
use crate::config::{CombinedRoute, TimeUnit};
use crate::model::{Text, Timestamp};

/// Nanoseconds since the Unix epoch.
pub(super) type Nanos = i128;

/// Why a time is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTime {
    /// Not a time at all.
    Unreadable,
    /// Before 2000 or after 2199, in any unit.
    OtherCentury,
}

/// A moment: RFC 3339, an epoch in any unit, or `17/May/2015:10:05:03 +0000`. The years 2000 to 2199 are different
/// numbers in seconds, milli-, micro- and nanoseconds, so the unit need not be said.
pub(super) fn moment_nanos(value: &Scalar<'_>) -> Result<Nanos, NoTime> {
    match value {
        Scalar::Text(text) => text_nanos(text.trim()),
        Scalar::Whole(number) => epoch_nanos(*number),
        Scalar::Float(number) => float_nanos(*number),
        Scalar::Absent | Scalar::Truth(_) | Scalar::Nested(_) => Err(NoTime::Unreadable),
    }
}

fn text_nanos(text: &str) -> Result<Nanos, NoTime> {
    if let Ok(number) = text.parse::<i128>() {
        return epoch_nanos(number);
    }
    if let Ok(number) = text.parse::<f64>() {
        return float_nanos(number);
    }
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| moment(text.trim_matches(['[', ']'])));
    let moment = moment.ok_or(NoTime::Unreadable)?;
    in_range(moment.as_nanosecond())
}

fn float_nanos(number: f64) -> Result<Nanos, NoTime> {
    // Only seconds and milliseconds are written with fractions; to the microsecond a float is exact enough.
    #[allow(clippy::cast_possible_truncation)] // The cast saturates, and what is out of range is refused.
    let micros = |number: f64| (number * 1e6).round() as i128;
    if !number.is_finite() {
        return Err(NoTime::Unreadable);
    }
    let seconds = in_range(micros(number).saturating_mul(1_000));
    seconds.or_else(|_| in_range(micros(number / 1e3).saturating_mul(1_000)))
}

fn epoch_nanos(number: i128) -> Result<Nanos, NoTime> {
    let scales = [1_000_000_000, 1_000_000, 1_000, 1];
    scales.into_iter().find_map(|scale| in_range(number.saturating_mul(scale)).ok()).ok_or(NoTime::OtherCentury)
}

fn in_range(nanos: Nanos) -> Result<Nanos, NoTime> {
    let range = i128::from(Timestamp::MIN.as_millis())..i128::from(Timestamp::MAX.as_millis());
    if range.contains(&nanos.div_euclid(1_000_000)) { Ok(nanos) } else { Err(NoTime::OtherCentury) }
}

/// A number of `unit` in milliseconds, to the microsecond. Text may be a list as NGINX writes it for several upstreams,
/// `0.003, 0.120 : 0.5`: its sum counts.
pub(super) fn duration_ms(value: &Scalar<'_>, unit: TimeUnit) -> Option<f64> {
    let number = match value {
        #[allow(clippy::cast_precision_loss)] // A duration: a 54th bit means nothing.
        Scalar::Whole(number) => *number as f64,
        Scalar::Float(number) => *number,
        Scalar::Text(text) => sum(text)?,
        Scalar::Absent | Scalar::Truth(_) | Scalar::Nested(_) => return None,
    };
    let per_ms = match unit {
        TimeUnit::Seconds => 1e-3,
        TimeUnit::Milliseconds => 1.0,
        TimeUnit::Microseconds => 1e3,
        TimeUnit::Nanoseconds => 1e6,
    };
    Some((number / per_ms * 1e3).round() / 1e3).filter(|ms| ms.is_finite())
}

fn sum(list: &str) -> Option<f64> {
    let parts = list.split([',', ':']).map(str::trim).filter(|part| !part.is_empty() && *part != "-");
    let mut total = None;
    for part in parts {
        total = Some(total.unwrap_or(0.0) + part.parse::<f64>().ok()?);
    }
    total
}

/// How often upstreams were tried: a number, or the addresses tried, as NGINX writes them
/// (`192.0.2.1:80, 192.0.2.2:80 : 192.0.2.3:80`).
pub(super) fn upstream_attempts(value: &Scalar<'_>) -> Option<u32> {
    if let Some(number) = whole(value) {
        return u32::try_from(number).ok();
    }
    let Scalar::Text(text) = value else { return None };
    let addresses = text.split(", ").flat_map(|group| group.split(" : ")).map(str::trim);
    u32::try_from(addresses.filter(|address| !address.is_empty() && *address != "-").count()).ok()
}

/// An address without its port; of a list the first.
pub(super) fn address(text: &str) -> &str {
    let first = text.split(',').next().unwrap_or(text).trim();
    if first.parse::<IpAddr>().is_ok() {
        return first;
    }
    if let Some((inner, _)) = first.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inner;
    }
    match first.rsplit_once(':') {
        Some((host, _)) if first.parse::<SocketAddr>().is_ok() || !host.contains(':') => host,
        _ => first,
    }
}

/// A method, alone or at the start of a request line; what is implausible is none.
pub(super) fn method(text: &str) -> Option<Text> {
    let word = text.split(' ').next().unwrap_or(text);
    // The reader of request lines wants a target.
    method_and_target(&format!("{word} /")).map(|(method, _)| Text::from(method))
}

/// A route: a name as it is; a path, an URL or a request line as a template without its query.
pub(super) fn route(text: &str) -> Text {
    let target = match method_and_target(text) {
        Some((_, target)) if text.contains(" HTTP/") || target.starts_with('/') => target,
        _ => text,
    };
    if target.starts_with('/') || target.contains("://") || target.len() > NAME_BYTES_MAX {
        return route_of(target, CombinedRoute::PathTemplate);
    }
    Text::from(without_query(target))
}

/// A service's name; of Istio's clusters (`outbound|8080||profiles.prod.svc.cluster.local`) the host.
pub(super) fn service(name: &str) -> Option<Text> {
    let host = match name.split_once('|') {
        Some(("inbound" | "outbound", rest)) => rest.rsplit('|').next().unwrap_or(rest),
        _ => name,
    };
    (!host.is_empty()).then(|| Text::from(host))
}

/// Text without what follows a `?`, where it is a path or an URL.
pub(super) fn without_query(text: &str) -> &str {
    let is_target = text.starts_with('/') || text.contains("://") || text.contains(" HTTP/");
    if is_target { text.split(['?', '#']).next().unwrap_or(text) } else { text }
}

/// A scalar's text, trimmed.
pub(super) fn trimmed<'v>(value: &'v Scalar<'_>) -> Cow<'v, str> {
    match value.to_text() {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment_text(value: &Scalar<'_>) -> String {
        let millis = |nanos: Nanos| Timestamp::from_millis((nanos / 1_000_000) as i64).to_string();
        moment_nanos(value).map_or_else(|error| format!("{error:?}"), millis)
    }

    #[test]
    fn times_need_no_unit() {
        let expected = "2026-03-01T10:15:05.25Z";
        for text in [
            "1772360105.250",
            "1772360105250",
            "1772360105250.0",
            "1772360105250000",
            "1772360105250000000",
            "2026-03-01T10:15:05.25Z",
            "2026-03-01T12:15:05.25+02:00",
        ] {
            assert_eq!(moment_text(&Scalar::from_text(text)), expected, "{text}");
        }
        assert_eq!(moment_text(&Scalar::Whole(1_772_360_105)), "2026-03-01T10:15:05Z");
        assert_eq!(moment_text(&Scalar::Float(1_772_360_105.25)), expected);
        assert_eq!(moment_text(&Scalar::from_text("01/Mar/2026:11:15:05 +0100")), "2026-03-01T10:15:05Z");
        for text in ["yesterday", "2026-03-01 10:15:05", "NaN", "inf"] {
            assert_eq!(moment_text(&Scalar::from_text(text)), "Unreadable", "{text}");
        }
        for text in ["0", "-1", "1e300", "1998-03-01T10:15:05Z", "99999999999999999999999999999999"] {
            assert_eq!(moment_text(&Scalar::from_text(text)), "OtherCentury", "{text}");
        }
    }

    #[test]
    fn durations_have_units_and_lists_are_summed() {
        for (text, unit, expected) in [
            ("0.123", TimeUnit::Seconds, Some(123.0)),
            ("0.003, 0.120", TimeUnit::Seconds, Some(123.0)),
            ("0.003, - : 0.120", TimeUnit::Seconds, Some(123.0)),
            ("12", TimeUnit::Milliseconds, Some(12.0)),
            ("1500", TimeUnit::Microseconds, Some(1.5)),
            ("1500000", TimeUnit::Nanoseconds, Some(1.5)),
            ("-", TimeUnit::Seconds, None),
            ("fast", TimeUnit::Seconds, None),
            ("1e400", TimeUnit::Seconds, None),
        ] {
            assert_eq!(duration_ms(&Scalar::Text(text.into()), unit), expected, "{text}");
        }
    }

    #[test]
    fn upstreams_are_counted_or_listed() {
        for (text, expected) in
            [("2", 2), ("192.0.2.1:80", 1), ("192.0.2.1:80, 192.0.2.2:80 : unix:/tmp/a", 3), ("[2001:db8::1]:80", 1)]
        {
            assert_eq!(upstream_attempts(&Scalar::from_text(text)), Some(expected), "{text}");
        }
        assert_eq!(upstream_attempts(&Scalar::Whole(-1)), None);
    }

    #[test]
    fn addresses_lose_their_ports() {
        for (text, expected) in [
            ("192.0.2.1:51000", "192.0.2.1"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("203.0.113.5, 10.0.0.1", "203.0.113.5"),
            ("client.example:80", "client.example"),
        ] {
            assert_eq!(address(text), expected, "{text}");
        }
    }

    #[test]
    fn routes_are_names_or_templates_and_never_hold_a_query() {
        for (text, expected) in [
            ("orders-route", "orders-route"),
            ("/users/7?token=x", "/users/{id}"),
            ("GET /users/7?token=x HTTP/1.1", "/users/{id}"),
            ("https://api.example.com/users/7?token=x", "/users/{id}"),
            ("/pkg.Service/Method", "/pkg.Service/Method"),
            ("GET /v2/items/{item}", "/v2/items/{item}"),
            ("GET started", "GET started"),
        ] {
            assert_eq!(route(text), expected, "{text}");
        }
        assert_eq!(method("GET /a HTTP/1.1").as_deref(), Some("GET"));
        assert_eq!(method("get!"), None);
        assert_eq!(service("outbound|80|v2|a.svc").as_deref(), Some("a.svc"));
        assert_eq!((service("inbound|8080||"), service("a|b").as_deref()), (None, Some("a|b")));
    }
}
