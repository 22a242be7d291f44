//! Apache/NGINX "combined" and "common" access-log lines.
//!
//! `ADDRESS IDENT USER [TIME] "REQUEST" STATUS BYTES ["REFERER" "USER-AGENT" …]`
//!
//! The format has no duration: `duration_ms` is 0, unless one of the fields after the user agent is a decimal number
//! with a point, bare or after `rt=`: NGINX's `$request_time`, in seconds. (Apache's `%D` is a whole number without a
//! unit; it is not guessed at.) A request line that is no request – empty, binary, a TLS greeting – is still a request
//! that was answered: it gets the route `(malformed)` and no method, because a flood of those is a flood too.

use std::borrow::Cow;

use super::combined_names::{client_of, route_of};
use super::convert::without_query;
use super::{Decoded, reject};
use crate::config::{CombinedConfig, CombinedSubscription};
use crate::model::{Attributes, Event, RejectionCode, RejectionReason, Request, Text, Timestamp};

/// Longest method that is believed: the longest registered one has 17 letters.
const METHOD_BYTES_MAX: usize = 20;

/// Route of a request line that is no request.
pub(super) const ROUTE_MALFORMED: &str = "(malformed)";

const SHAPE: &str = "not an access-log line";

/// Reads one line.
pub(super) fn line(line: &str, config: &CombinedConfig) -> Decoded {
    let parts = split(line)?;
    let mut attributes = Attributes::default();
    let subscription = subscription(&parts, config.subscription, &mut attributes)?;
    let request_line = unescape(parts.request);
    let request = request_line.trim();
    let (method, route) = match method_and_target(request) {
        Some((method, target)) => (Some(Text::from(method)), route_of(target, config.route)),
        None => (None, Text::const_new(ROUTE_MALFORMED)),
    };
    let (client, client_version) = parts.user_agent.and_then(client_of).unzip();
    if let Some(user_agent) = parts.user_agent.and_then(present) {
        attributes.insert("user_agent", &unescape(user_agent));
    }
    if let Some(referer) = parts.referer.and_then(present) {
        // Queries hold what people search for, and credentials.
        attributes.insert("referer", without_query(&unescape(referer)));
    }
    Ok(Event::Request(Request {
        timestamp: timestamp(parts.time)?,
        subscription,
        client: client.map(Text::from),
        client_version: client_version.map(Text::from),
        service: config.service.as_deref().map(Text::from),
        method,
        route,
        status: status(parts.status)?,
        duration_ms: duration_ms(parts.further),
        response_bytes: response_bytes(parts.bytes)?,
        attributes,
        ..Request::default()
    }))
}

/// A line taken apart; quoted fields without their quotes, still escaped.
struct Parts<'a> {
    address: &'a str,
    user: &'a str,
    time: &'a str,
    request: &'a str,
    status: &'a str,
    bytes: &'a str,
    referer: Option<&'a str>,
    user_agent: Option<&'a str>,
    further: &'a str,
}

fn split(line: &str) -> Result<Parts<'_>, RejectionReason> {
    let refuse = |what: &str, at: &str| {
        reject::record(RejectionCode::Syntax, format!("{SHAPE}: {what} at {}", reject::excerpt(at)))
    };
    let (address, rest) = line.split_once(' ').ok_or_else(|| refuse("no space after the address", line))?;
    let (names, time, rest) = names_and_time(rest).map_err(|(what, at)| refuse(what, at))?;
    let user = names.trim().split_once(' ').map_or("-", |(_ident, user)| user.trim());
    let (request, rest) = quoted(rest).ok_or_else(|| refuse("no quoted request", rest))?;
    let (status, rest) = word(rest);
    let (bytes, rest) = word(rest);
    let (referer, rest) = quoted(rest).map_or((None, rest), |(referer, rest)| (Some(referer), rest));
    let (user_agent, rest) = quoted(rest).map_or((None, rest), |(agent, rest)| (Some(agent), rest));
    Ok(Parts { address, user, time, request, status, bytes, referer, user_agent, further: rest })
}

/// What stands before the time, the time without its brackets, and what follows them.
///
/// Clients choose the name of the user, spaces and brackets included, and must not be able to hide the time with it. A
/// quote they cannot choose (servers escape it), so `] "` ends the time, and the last `[` before that begins it.
fn names_and_time(text: &str) -> Result<(&str, &str, &str), (&'static str, &str)> {
    let Some(end) = text.find("] \"") else {
        let (_, time) = text.split_once('[').ok_or(("no `[` before a time", text))?;
        let (_, rest) = time.split_once(']').ok_or(("no `]` after the time", time))?;
        return Err(("no quoted request", rest));
    };
    let (names, time) = text[..end].rsplit_once('[').ok_or(("no `[` before a time", text))?;
    Ok((names, time, &text[end + 1..]))
}

/// The next word, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(' ').unwrap_or((text, ""))
}

/// The next quoted field without its quotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.trim_start().strip_prefix('"')?;
    let mut escaped = false;
    let end = inner.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((&inner[..end], &inner[end + 1..]))
}

/// `\"` and `\\` as they were; other escapes (`\x16`) stay as the server wrote them.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = characters.next_if(|next| character == '\\' && matches!(next, '"' | '\\'));
        plain.push(escaped.unwrap_or(character));
    }
    Cow::Owned(plain)
}

fn present(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty() && *text != "-")
}

fn subscription(
    parts: &Parts<'_>,
    which: CombinedSubscription,
    attributes: &mut Attributes,
) -> Result<Text, RejectionReason> {
    let (chosen, other_name, other) = match which {
        CombinedSubscription::RemoteAddress => (parts.address, "remote_user", parts.user),
        CombinedSubscription::RemoteUser => (parts.user, "remote_address", parts.address),
    };
    if let Some(other) = present(other) {
        attributes.insert(other_name, other);
    }
    let subscription = present(chosen).ok_or_else(|| reject::missing("subscription"))?;
    if subscription.len() > super::native_fields::NAME_BYTES_MAX {
        let expected = "at most 1024 bytes long";
        return Err(reject::value(RejectionCode::OutOfRange, "subscription", expected, subscription));
    }
    Ok(Text::from(subscription))
}

/// `METHOD TARGET [PROTOCOL]`; the target may hold spaces when a client did not encode them.
pub(super) fn method_and_target(request: &str) -> Option<(&str, &str)> {
    let (method, rest) = request.split_once(' ')?;
    let plausible = method.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || !plausible {
        return None;
    }
    let target = match rest.rsplit_once(' ') {
        Some((target, protocol)) if protocol.starts_with("HTTP/") => target,
        _ => rest,
    };
    Some((method, target.trim())).filter(|(_, target)| !target.is_empty())
}

/// `17/May/2015:10:05:03 +0000`
fn timestamp(text: &str) -> Result<Timestamp, RejectionReason> {
    let expected = "like 17/May/2015:10:05:03 +0000, between the years 2000 and 2199";
    let moment = moment(text).ok_or_else(|| reject::value(RejectionCode::WrongType, "timestamp", expected, text))?;
    Timestamp::from_epoch_millis_checked(moment.as_millisecond())
        .map_err(|_| reject::value(RejectionCode::OutOfRange, "timestamp", expected, text))
}

pub(super) fn moment(text: &str) -> Option<jiff::Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date_time, zone) = text.split_once(' ')?;
    let (date, time) = date_time.split_once(':')?;
    let mut date = date.split('/');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let mut time = time.split(':').map(digits);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // A leap second is the one before it, as everywhere.
    let second = if second == 60 { 59 } else { second };
    let date_time = jiff::civil::DateTime::new(
        digits(year)?.try_into().ok()?,
        i8::try_from(month).ok()?,
        digits(day)?.try_into().ok()?,
        hour.try_into().ok()?,
        minute.try_into().ok()?,
        second.try_into().ok()?,
        0,
    )
    .ok()?;
    let (sign, zone) = if let Some(zone) = zone.strip_prefix('-') { (-1, zone) } else { (1, zone.strip_prefix('+')?) };
    let zone = digits(zone).filter(|_| zone.len() == 4)?;
    let seconds = i32::try_from(zone / 100 * 3_600 + zone % 100 * 60).ok()?;
    jiff::tz::Offset::from_seconds(sign * seconds).ok()?.to_timestamp(date_time).ok()
}

/// Up to four digits and nothing else (the parser of numbers would take a sign).
fn digits(text: &str) -> Option<u32> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn status(text: &str) -> Result<u16, RejectionReason> {
    let text = present(text).ok_or_else(|| reject::missing("status"))?;
    let status = digits(text).ok_or_else(|| reject::value(RejectionCode::WrongType, "status", "a number", text))?;
    u16::try_from(status)
        .ok()
        .filter(|status| *status <= 999)
        .ok_or_else(|| reject::value(RejectionCode::OutOfRange, "status", "from 0 to 999", text))
}

fn response_bytes(text: &str) -> Result<Option<u64>, RejectionReason> {
    let Some(text) = present(text) else { return Ok(None) };
    // 63 bits, as for every count.
    let bytes: Option<i64> = text.parse().ok().filter(|bytes| *bytes >= 0 && !text.starts_with('+'));
    let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
    bytes
        .map(Some)
        .ok_or_else(|| reject::value(RejectionCode::WrongType, "response_bytes", "a whole number or `-`", text))
}

/// The first bare decimal number with a point, in seconds; 0 when there is none.
fn duration_ms(further: &str) -> f64 {
    further
        .split_ascii_whitespace()
        .map(|word| word.strip_prefix("rt=").unwrap_or(word))
        .filter(|word| word.contains('.') && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
        .find_map(|word| word.parse::<f64>().ok().filter(|seconds| seconds.is_finite()))
        // To microseconds: 0.123 s is 123 ms, not 123.00000000000001.
        .map_or(0.0, |seconds| (seconds * 1e6).round() / 1e3)
}
