//! Whether a web page sends a request. Loopback without tokens is open to every program of this machine, and a browser is
//! one: a page from anywhere can make it send `text/plain` here, which asks nobody first.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use super::problem::{Problem, ProblemCode};
use crate::config::Scope;

/// Refuses what a page of another origin sends. Programs that are no browsers send no `Origin`.
pub(super) fn refuse_other_pages(headers: &HeaderMap, scope: Scope) -> Result<(), Problem> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), further) = (origins.next(), origins.next()) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if further.is_none() && origin.to_str().ok().zip(host).is_some_and(|(origin, host)| is_own(origin, host)) {
        return Ok(());
    }
    let scope = scope.as_str();
    let detail = format!("sent by a web page of another origin (`Origin`): this needs a token with the scope {scope}");
    Err(Problem::new(ProblemCode::Forbidden, detail))
}

/// Whether a page of the same host sends this, whatever the host is called: enough where a secret comes with it.
pub(super) fn is_same(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else { return false };
    origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// Refuses to be read under a name that is not known to be ours: somebody may have given it out, so that a browser takes
/// this service for a part of their site and lets their pages read it (DNS rebinding).
pub(super) fn refuse_other_names(headers: &HeaderMap, names: &[String]) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, further) = (hosts.next(), hosts.next());
    let Some(host) = host else { return Ok(()) };
    let is_ours =
        |host: &str| is_loopback(host) || names.iter().any(|name| name.eq_ignore_ascii_case(without_port(host)));
    if further.is_none() && host.to_str().is_ok_and(is_ours) {
        return Ok(());
    }
    let detail = "asked under a name that is not one of this host's own (`Host`): use localhost or an address, name it in \
                  http.host_names, or configure a token with the scope read";
    Err(Problem::new(ProblemCode::Misdirected, detail))
}

/// Whether `origin` is a page of the server at `host`. The host's name has to be one that nobody else can give out: by a
/// name of their own others can have their pages' requests come here too (DNS rebinding).
fn is_own(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) && is_loopback(host)
}

fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(host: &str, origins: &[&str]) -> bool {
        let mut headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
        for origin in origins {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        refuse_other_pages(&headers, Scope::Ingest).is_ok()
    }

    #[test]
    fn programs_and_own_pages_pass() {
        assert!(passes("floodmark:8460", &[]));
        for host in ["localhost:8460", "127.0.0.1:8460", "[::1]:8460", "localhost", "[::1]"] {
            assert!(passes(host, &[&format!("http://{host}")]), "{host}");
            assert!(passes(host, &[&format!("https://{host}")]), "{host}");
        }
        assert!(passes("localhost:8460", &["http://LocalHost:8460"]));
    }

    #[test]
    fn pages_of_others_are_refused() {
        for origin in ["https://example.com", "http://localhost:3000", "http://localhost", "null", "", "localhost:8460"]
        {
            assert!(!passes("localhost:8460", &[origin]), "{origin}");
        }
        assert!(!passes("localhost:8460", &["http://localhost:8460", "https://example.com"]), "both count");
    }

    #[test]
    fn a_name_that_others_give_out_is_not_our_own() {
        for host in
            ["rebound.example.com:8460", "localhost.example.com:8460", "192.0.2.1:8460", "127.0.0.1.example.com"]
        {
            assert!(!passes(host, &[&format!("http://{host}")]), "{host}");
        }
    }
}
