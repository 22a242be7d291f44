//! `[http]`: the server for health, metrics, the API and records that come over HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ByteCount, Problem, Span};

/// Hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;
/// Most tokens: each request is compared with all of them.
const TOKENS_MAX: usize = 100;
/// Most names of this host: each request is compared with all of them.
const HOST_NAMES_MAX: usize = 100;
/// Longest name of a subscription that a token may be for.
const SUBSCRIPTION_BYTES_MAX: usize = 256;
/// Most bytes that may be pending: the semaphore that counts them takes 32-bit numbers.
const PENDING_BYTES_MAX: usize = u32::MAX as usize;

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address to listen on. Loopback by default: nothing is exposed unasked. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether records are taken over HTTP (`/v1/logs`, `/api/v1/events`).
    pub ingest: bool,
    /// Most bytes of a request body as it is sent.
    pub body_bytes_max: ByteCount,
    /// Most bytes of a request body once it is unpacked.
    pub unpacked_bytes_max: ByteCount,
    /// Most bytes of input that were taken and are not safe yet, over all senders. At the bound senders are told to come
    /// back.
    pub pending_bytes_max: ByteCount,
    /// How long a sender waits until its records are safe. Then it is told to come back; a repeat of the same body joins
    /// what is still pending.
    pub answer_timeout: Span,
    /// Without Kafka: records silent for this long no longer hold the watermark back.
    pub idle_timeout: Span,
    /// Names of this host by which it is read without a token, besides `localhost` and its addresses: a name that others can
    /// give out brings their pages here.
    pub host_names: Vec<String>,
    /// Who may do what. Absent: everybody may, and then only on loopback.
    pub tokens: Vec<TokenConfig>,
    /// Serve HTTPS instead of HTTP.
    pub tls: Option<TlsConfig>,
}

/// A bearer token. The token itself is nowhere in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Whose it is; for people.
    pub name: String,
    /// SHA-256 of the token, hexadecimal. `floodmark token new` prints it.
    pub sha256: String,
    /// What its bearer may do.
    pub scopes: Vec<Scope>,
    /// Its bearer sees only rows of this subscription, and nothing that is about others. Absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
}

/// What the bearer of a token may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Scope {
    /// Send records.
    Ingest,
    /// Read metrics, alerts and incidents; ask named queries and series.
    Read,
    /// Ask SQL of one's own.
    Query,
    /// Word public incidents: publish, update and resolve them, announce work, say how components are.
    Publish,
    /// Change what the service does: take pages, make and end silences, have rules read again.
    Admin,
}

impl Scope {
    /// Spelling in configuration and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Query => "query",
            Self::Publish => "publish",
            Self::Admin => "admin",
        }
    }
}

/// TLS on the own listener. The files are read at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate, followed by intermediate ones.
    pub certificate_file: PathBuf,
    /// PEM file with the certificate's private key.
    pub key_file: PathBuf,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8_460)),
            ingest: true,
            body_bytes_max: ByteCount::mib(8),
            unpacked_bytes_max: ByteCount::mib(32),
            pending_bytes_max: ByteCount::mib(128),
            answer_timeout: Span::from_secs(10),
            idle_timeout: Span::from_secs(10),
            host_names: Vec::new(),
            tokens: Vec::new(),
            tls: None,
        }
    }
}

impl HttpConfig {
    /// Everything that is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, key: &str, message: &str| {
            if !holds {
                problems.push(Problem { key: format!("http.{key}"), message: message.to_owned() });
            }
        };
        let (body, unpacked) = (self.body_bytes_max.as_usize(), self.unpacked_bytes_max.as_usize());
        let pending = self.pending_bytes_max.as_usize();
        require(body >= 1_024, "body_bytes_max", "must be at least 1KiB");
        require(unpacked >= body, "unpacked_bytes_max", "must be at least http.body_bytes_max");
        require(
            pending >= body.saturating_add(unpacked) && pending <= PENDING_BYTES_MAX,
            "pending_bytes_max",
            "must be at least http.body_bytes_max + http.unpacked_bytes_max, and less than 4GiB",
        );
        let answer_ms = self.answer_timeout.as_millis();
        require((1_000..=30_000).contains(&answer_ms), "answer_timeout", "must lie between 1s and 30s");
        require(self.idle_timeout.as_millis() >= 100, "idle_timeout", "must be at least 100ms");
        require(self.tokens.len() <= TOKENS_MAX, "tokens", "must be at most 100");
        require(
            // A token of any kind closes sending; only one with `read` closes reading.
            self.listen.ip().is_loopback() || self.tokens.iter().any(|token| token.scopes.contains(&Scope::Read)),
            "tokens",
            "http.listen is not loopback, and anybody could read alerts and incidents, or even send records: configure a \
             token with the scope `read` (`floodmark token new` makes one)",
        );
        require(self.host_names.len() <= HOST_NAMES_MAX, "host_names", "must be at most 100");
        for (i, name) in self.host_names.iter().enumerate() {
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
            require(is_name, &format!("host_names[{i}]"), "must be a name without port: letters, digits, `-` and `.`");
        }
        for (i, token) in self.tokens.iter().enumerate() {
            let is_hash = token.sha256.len() == SHA256_DIGITS && token.sha256.bytes().all(|b| b.is_ascii_hexdigit());
            require(is_hash, &format!("tokens[{i}].sha256"), "must be 64 hexadecimal digits");
            require(!token.name.trim().is_empty(), &format!("tokens[{i}].name"), "must not be empty");
            require(!token.scopes.is_empty(), &format!("tokens[{i}].scopes"), "must name at least one scope");
            let Some(subscription) = &token.subscription else { continue };
            let key = format!("tokens[{i}].subscription");
            let is_plain = !subscription.is_empty() && !subscription.contains(char::is_control);
            require(is_plain && subscription.len() <= SUBSCRIPTION_BYTES_MAX, &key, "must be a name of 1 to 256 bytes");
            let only_reads = token.scopes.iter().all(|scope| matches!(scope, Scope::Read | Scope::Query));
            require(only_reads, &key, "is for tokens whose scopes are read and query: the others act for all");
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &HttpConfig) -> Vec<String> {
        config.problems().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn without_a_token_that_may_read_nothing_is_served_beyond_loopback() {
        let open = HttpConfig { listen: ([0, 0, 0, 0], 8_460).into(), ..HttpConfig::default() };
        assert_eq!(keys(&open), ["http.tokens"]);
        assert_eq!(keys(&HttpConfig { ingest: false, ..open.clone() }), ["http.tokens"]);
        let token = |scope| TokenConfig {
            name: "x".to_owned(),
            sha256: "ab".repeat(32),
            scopes: vec![scope],
            subscription: None,
        };
        let with = |tokens: Vec<TokenConfig>| keys(&HttpConfig { tokens, ..open.clone() });
        assert_eq!(with(vec![token(Scope::Ingest)]), ["http.tokens"], "reading is open to all");
        assert_eq!(with(vec![token(Scope::Read)]), [""; 0], "nobody may send");
        assert_eq!(with(vec![token(Scope::Ingest), token(Scope::Read)]), [""; 0]);
        assert_eq!(keys(&HttpConfig::default()), [""; 0]);
    }

    #[test]
    fn a_token_is_a_hash_with_a_name_and_scopes() {
        let token =
            TokenConfig { name: " ".to_owned(), sha256: "secret".to_owned(), scopes: Vec::new(), subscription: None };
        let config = HttpConfig { tokens: vec![token], ..HttpConfig::default() };
        assert_eq!(keys(&config), ["http.tokens[0].sha256", "http.tokens[0].name", "http.tokens[0].scopes"]);
    }

    #[test]
    fn a_token_of_a_subscription_only_reads() {
        let token = |scopes: &[Scope], subscription: &str| TokenConfig {
            name: "x".to_owned(),
            sha256: "ab".repeat(32),
            scopes: scopes.to_vec(),
            subscription: Some(subscription.to_owned()),
        };
        let with = |token| keys(&HttpConfig { tokens: vec![token], ..HttpConfig::default() });
        assert_eq!(with(token(&[Scope::Read, Scope::Query], "acme")), [""; 0]);
        for (scopes, subscription) in [
            (&[Scope::Admin][..], "acme"),
            (&[Scope::Read, Scope::Ingest], "acme"),
            (&[Scope::Read], ""),
            (&[Scope::Read], "a\nb"),
        ] {
            assert_eq!(
                with(token(scopes, subscription)),
                ["http.tokens[0].subscription"],
                "{scopes:?} {subscription:?}"
            );
        }
    }

    #[test]
    fn a_host_name_is_a_name() {
        let names = ["floodmark.internal", "", "a:80", "a/b", "*"].map(str::to_owned).to_vec();
        let expected = [1, 2, 3, 4].map(|at| format!("http.host_names[{at}]"));
        assert_eq!(keys(&HttpConfig { host_names: names, ..HttpConfig::default() }), expected);
    }
}
