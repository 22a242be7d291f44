//! Where a route is: method and path template.

use std::collections::BTreeMap;

use crate::detect::Limit;

/// `GET /v1/users/{id}`; without a method, any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePath {
    method: Option<String>,
    template: String,
}

/// The text is no route's place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no place of a route; write \"GET /v1/users/{{id}}\" or /v1/users/{{id}}")]
pub struct RoutePathError(String);

impl std::str::FromStr for RoutePath {
    type Err = RoutePathError;

    fn from_str(text: &str) -> Result<Self, RoutePathError> {
        let error = || RoutePathError(text.chars().take(200).collect());
        let (method, template) = match text.trim().split_once(' ') {
            Some((method, template)) => (Some(method), template.trim()),
            None => (None, text.trim()),
        };
        let method_fits = |method: &str| !method.is_empty() && method.chars().all(|c| c.is_ascii_uppercase());
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-./{}~:*".contains(c);
        if method.is_some_and(|method| !method_fits(method))
            || !template.starts_with('/')
            || !template.chars().all(fits)
        {
            return Err(error());
        }
        Ok(Self { method: method.map(str::to_owned), template: template.to_owned() })
    }
}

impl std::fmt::Display for RoutePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.method {
            Some(method) => write!(f, "{method} {}", self.template),
            None => f.write_str(&self.template),
        }
    }
}

impl RoutePath {
    /// The method, if only one.
    pub(super) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The path as a regular expression that RE2 and PCRE read alike, without anchors: `{id}`, `:id` and `*` are one piece.
    pub(super) fn path_expression(&self) -> String {
        let piece = |piece: &str| {
            let is_variable = piece.starts_with('{') && piece.ends_with('}') || piece.starts_with(':') || piece == "*";
            if is_variable { "[^/?]+".to_owned() } else { escaped(piece) }
        };
        self.template.split('/').map(piece).collect::<Vec<_>>().join("/")
    }
}

/// A dot, a brace or a star stands for itself.
fn escaped(text: &str) -> String {
    let special = |c: char| ".{}*".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Where each route of a limit is; routes of unknown place are left out, and returned by name.
pub(super) fn places<'a>(
    limit: &'a Limit,
    paths: &BTreeMap<String, RoutePath>,
) -> (Vec<(&'a str, RoutePath)>, Vec<&'a str>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for route in &limit.routes {
        match paths.get(route).cloned().or_else(|| route.parse().ok()) {
            Some(path) => known.push((route.as_str(), path)),
            None => unknown.push(route.as_str()),
        }
    }
    (known, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_become_expressions() {
        for (text, expression) in [
            ("GET /v1/users/{id}", "/v1/users/[^/?]+"),
            ("/v1/files/:name/raw.txt", "/v1/files/[^/?]+/raw\\.txt"),
            ("/a/*", "/a/[^/?]+"),
            ("/", "/"),
        ] {
            assert_eq!(text.parse::<RoutePath>().unwrap().path_expression(), expression);
        }
        for text in ["StartProfile", "get /x", "/x\" y", "GET x", "/x;}", "/$x", "/a|b"] {
            assert!(text.parse::<RoutePath>().is_err(), "{text}");
        }
    }
}
