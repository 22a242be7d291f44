//! Route and client names from what an access log has: paths and user agents.

use super::native_fields::NAME_BYTES_MAX;
use crate::config::CombinedRoute;
use crate::model::Text;

/// Route of a path that is longer than a route may be: one more name, not one a path.
const ROUTE_TOO_LONG: &str = "(too long)";

/// A hexadecimal part of at least this many digits is an id, not a word.
const HEXADECIMAL_ID_DIGITS_MIN: usize = 16;

/// The route of a request target: the path without query string, fragment, scheme and host.
pub(super) fn route_of(target: &str, kind: CombinedRoute) -> Text {
    let path = target.split(['?', '#']).next().unwrap_or(target);
    let path = match path.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => path,
    };
    let route = match kind {
        CombinedRoute::Path => Text::from(path),
        CombinedRoute::PathTemplate => template(path),
    };
    match route.len() {
        0 => Text::const_new("/"),
        1..=NAME_BYTES_MAX => route,
        _ => Text::const_new(ROUTE_TOO_LONG),
    }
}

fn template(path: &str) -> Text {
    if !path.split('/').any(is_id) {
        return Text::from(path);
    }
    let mut route = Text::with_capacity(path.len());
    for (place, part) in path.split('/').enumerate() {
        if place > 0 {
            route.push('/');
        }
        route.push_str(if is_id(part) { "{id}" } else { part });
    }
    route
}

/// A number, a UUID, or a long hexadecimal number.
fn is_id(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return false;
    }
    let hexadecimal = part.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = part.bytes().filter(|byte| *byte == b'-').count();
    let uuid = part.len() == 36 && hexadecimal == 32 && dashes == 4;
    digits == part.len() || uuid || (hexadecimal == part.len() && hexadecimal >= HEXADECIMAL_ID_DIGITS_MIN)
}

/// `product/version` at the start of a user agent. Browsers all claim `Mozilla/5.0` (and Opera a frozen version): that
/// says nothing about the program, so it is no client.
pub(super) fn client_of(user_agent: &str) -> Option<(&str, &str)> {
    let first = user_agent.split_ascii_whitespace().next()?;
    let (product, version) = first.split_once('/')?;
    let word = |text: &str| {
        text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+'))
    };
    let named = product.starts_with(|c: char| c.is_ascii_alphabetic()) && word(product);
    let versioned = version.starts_with(|c: char| c.is_ascii_digit()) && word(version);
    let frozen = ["Mozilla", "Opera"].iter().any(|name| product.eq_ignore_ascii_case(name));
    (named && versioned && !frozen).then_some((product, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_templates() {
        for (target, route) in [
            ("/users/123/orders/9?x=1", "/users/{id}/orders/{id}"),
            ("/", "/"),
            ("/files/0f8fad5b-d9cb-469f-a165-70867728950e", "/files/{id}"),
            ("/blobs/deadbeefdeadbeef01", "/blobs/{id}"),
            ("/deadbeef", "/deadbeef"),
            ("/v1/profiles", "/v1/profiles"),
            ("http://example.org/a/7", "/a/{id}"),
            ("http://example.org", "/"),
            ("*", "*"),
            ("?x=1", "/"),
            ("/redirect/http://example.org", "/redirect/http://example.org"),
        ] {
            assert_eq!(route_of(target, CombinedRoute::PathTemplate), route, "{target}");
        }
        assert_eq!(route_of("/users/123?x=1", CombinedRoute::Path), "/users/123");
        assert_eq!(route_of(&"/x".repeat(600), CombinedRoute::Path), ROUTE_TOO_LONG);
    }

    #[test]
    fn only_certain_clients_are_named() {
        assert_eq!(client_of("kameleo-cli/4.0.0 (linux)"), Some(("kameleo-cli", "4.0.0")));
        assert_eq!(client_of("curl/8.5.0"), Some(("curl", "8.5.0")));
        for agent in ["Mozilla/5.0 (X11)", "Opera/9.80", "-", "", "curl", "a b/1", "/1", "Feed/latest", "x<y>/1"] {
            assert_eq!(client_of(agent), None, "{agent}");
        }
    }
}
