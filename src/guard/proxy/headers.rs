//! Which headers pass, in both ways.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers of one connection, not of the request (RFC 9110, section 7.6.1).
const OF_A_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What only the guard says to ClickHouse: as whom, for whose quota, from where.
const OF_THE_GUARD: [&str; 9] = [
    "authorization",
    "expect",
    "forwarded",
    "x-clickhouse-key",
    // The parameter says it.
    "x-clickhouse-query-id",
    "x-clickhouse-quota",
    "x-clickhouse-ssl-certificate-auth",
    "x-clickhouse-user",
    "x-forwarded-for",
];

/// Encodings of answers that the guard can read: it must see of which limit a query died.
const READABLE: [&str; 6] = ["deflate", "gzip", "identity", "lz4", "x-gzip", "zstd"];

/// A client's headers as they go to ClickHouse; credentials are not among them.
pub(super) fn request_headers(headers: &HeaderMap, peer: IpAddr) -> HeaderMap {
    let mut passed = headers.clone();
    without_connection(&mut passed);
    for name in OF_THE_GUARD {
        passed.remove(name);
    }
    readable_only(&mut passed);
    if let Ok(peer) = HeaderValue::from_str(&peer.to_string()) {
        passed.insert("x-forwarded-for", peer);
    }
    passed
}

/// ClickHouse takes the first encoding it likes, and would like some that are not read here.
fn readable_only(headers: &mut HeaderMap) {
    let asked: Vec<String> = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| one.trim().to_owned())
        .filter(|one| {
            let name = one.split(';').next().unwrap_or_default().trim();
            READABLE.iter().any(|readable| name.eq_ignore_ascii_case(readable))
        })
        .collect();
    headers.remove(header::ACCEPT_ENCODING);
    if let Some(asked) = (!asked.is_empty()).then(|| HeaderValue::from_str(&asked.join(", ")).ok()).flatten() {
        headers.insert(header::ACCEPT_ENCODING, asked);
    }
}

/// ClickHouse's headers as they go to the client.
pub(super) fn answer_headers(headers: &mut HeaderMap) {
    without_connection(headers);
}

fn without_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_A_CONNECTION) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_quota_and_connection_do_not_pass() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Basic eA=="),
            ("x-clickhouse-quota", "mine"),
            ("x-forwarded-for", "1.2.3.4"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("x-clickhouse-database", "db"),
            ("content-length", "5"),
            ("accept-encoding", "br, GZIP;q=0.5,snappy , zstd"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let passed = request_headers(&headers, "10.0.0.1".parse().unwrap());
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(passed["accept-encoding"], "GZIP;q=0.5, zstd");
        assert_eq!(names, ["accept-encoding", "content-length", "x-clickhouse-database", "x-forwarded-for"]);
        assert_eq!(passed["x-forwarded-for"], "10.0.0.1");
    }
}
