//! Bearer tokens (RFC 6750). Only hashes are known here: a token is 256 random bits, so a plain SHA-256 cannot be guessed
//! back.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::origin;
use super::problem::{Problem, ProblemCode};
use crate::config::{Scope, TokenConfig};

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    sha256: [u8; 32],
    scopes: Vec<Scope>,
    subscription: Option<Arc<str>>,
}

/// The tokens that are known. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    known: Arc<[Known]>,
    host_names: Arc<[String]>,
}

/// Whose token came with a request; empty where none is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Bearer(pub(super) Arc<str>, pub(super) Option<Arc<str>>);

/// What a path shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// What is about all subscriptions.
    All,
    /// What its handler restricts to the bearer's subscription.
    Own,
}

impl Tokens {
    /// As configured. Hashes that are none (which validation refuses) match nothing.
    #[must_use]
    pub fn new(tokens: &[TokenConfig]) -> Self {
        let known = |token: &TokenConfig| {
            let (name, scopes) = (Arc::from(token.name.as_str()), token.scopes.clone());
            let subscription = token.subscription.as_deref().map(Arc::from);
            Some(Known { name, sha256: from_hexadecimal(&token.sha256)?, scopes, subscription })
        };
        Self { known: tokens.iter().filter_map(known).collect(), host_names: Arc::default() }
    }

    /// The same, with names of this host by which it may be read without a token.
    #[must_use]
    pub fn with_host_names(self, names: &[String]) -> Self {
        Self { host_names: names.into(), ..self }
    }

    /// Whether a token is asked for: to send or to administer, as soon as there is any; to read or to ask, as soon as there
    /// is one that may.
    pub(super) fn are_needed_for(&self, scope: Scope) -> bool {
        match scope {
            Scope::Ingest | Scope::Publish | Scope::Admin => !self.known.is_empty(),
            Scope::Read | Scope::Query => {
                let may_look = |scope: &Scope| matches!(scope, Scope::Read | Scope::Query);
                self.known.iter().any(|token| token.scopes.iter().any(may_look))
            }
        }
    }

    fn check(&self, headers: &HeaderMap, scope: Scope, shows: Shows) -> Result<Bearer, Problem> {
        if !self.are_needed_for(scope) {
            // What is read stays in the browser: without a header that allows it, no page of another origin sees it, unless
            // it was made to believe that this is its own.
            match scope {
                Scope::Read => origin::refuse_other_names(headers, &self.host_names)?,
                Scope::Query => {
                    origin::refuse_other_names(headers, &self.host_names)?;
                    origin::refuse_other_pages(headers, scope)?;
                }
                Scope::Ingest | Scope::Publish | Scope::Admin => origin::refuse_other_pages(headers, scope)?,
            }
            return Ok(Bearer::default());
        }
        let Some(token) = bearer_token(headers) else {
            let problem = Problem::new(ProblemCode::Unauthorized, "a bearer token is needed here");
            return Err(problem.challenge("Bearer realm=\"floodmark\""));
        };
        let Some(known) = self.find(token) else {
            let problem = Problem::new(ProblemCode::Unauthorized, "this bearer token is not known");
            return Err(problem.challenge("Bearer realm=\"floodmark\", error=\"invalid_token\""));
        };
        if !known.scopes.contains(&scope) {
            let detail = format!("this token may not do this: it needs the scope {}", scope.as_str());
            let problem = Problem::new(ProblemCode::Forbidden, detail);
            return Err(problem.challenge("Bearer realm=\"floodmark\", error=\"insufficient_scope\""));
        }
        if known.subscription.is_some() && shows == Shows::All {
            let detail = "this token is for one subscription, and what is here is about all of them";
            let problem = Problem::new(ProblemCode::Forbidden, detail);
            return Err(problem.challenge("Bearer realm=\"floodmark\", error=\"insufficient_scope\""));
        }
        Ok(Bearer(Arc::clone(&known.name), known.subscription.clone()))
    }

    /// Whose a token is, and what it may do; absent for one that is not known, or that is for one subscription only.
    pub(super) fn bearer(&self, token: &str) -> Option<(Arc<str>, Vec<Scope>)> {
        let known = self.find(token).filter(|known| known.subscription.is_none())?;
        Some((Arc::clone(&known.name), known.scopes.clone()))
    }

    /// Refuses to be looked at under a name that others can give out, where no token is asked for.
    pub(super) fn refuse_other_names(&self, headers: &HeaderMap) -> Result<(), Problem> {
        origin::refuse_other_names(headers, &self.host_names)
    }

    fn find(&self, token: &str) -> Option<&Known> {
        let hash = hash(token);
        // All are compared, each to its end: how long it takes tells nothing about any of them.
        let mut found = None;
        for known in self.known.iter() {
            if bool::from(known.sha256.ct_eq(&hash)) {
                found = Some(known);
            }
        }
        found
    }
}

/// SHA-256 of a token.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn from_hexadecimal(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Lets those pass who may.
pub(super) async fn authorize(
    State((tokens, scope, shows)): State<(Tokens, Scope, Shows)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let bearer = tokens.check(request.headers(), scope, shows)?;
    // A page of others does not see what comes back, but it must not keep us busy either.
    let is_sent = !matches!(*request.method(), Method::GET | Method::HEAD);
    if is_sent && scope == Scope::Read && !tokens.are_needed_for(scope) {
        origin::refuse_other_pages(request.headers(), scope)?;
    }
    request.extensions_mut().insert(bearer);
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, secret: &str, scopes: &[Scope]) -> TokenConfig {
        let sha256 = hash(secret).iter().map(|byte| format!("{byte:02X}")).collect();
        TokenConfig { name: name.to_owned(), sha256, scopes: scopes.to_vec(), subscription: None }
    }

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())])
    }

    #[test]
    fn a_token_opens_what_its_scopes_say() {
        let tokens = Tokens::new(&[token("a", "one", &[Scope::Ingest]), token("b", "two", &[Scope::Read])]);
        let code = |authorization: &str, scope| {
            let checked = tokens.check(&headers(authorization), scope, Shows::All);
            checked.map(|bearer| bearer.0.to_string()).map_err(|problem| problem.code())
        };
        assert_eq!(code("Bearer one", Scope::Ingest), Ok("a".to_owned()));
        assert_eq!(code("bearer  two", Scope::Read), Ok("b".to_owned()));
        assert_eq!(code("Bearer two", Scope::Ingest), Err(ProblemCode::Forbidden));
        for wrong in ["Bearer three", "Basic one", "one", "Bearer "] {
            assert_eq!(code(wrong, Scope::Ingest), Err(ProblemCode::Unauthorized), "{wrong}");
        }
        assert!(tokens.check(&HeaderMap::new(), Scope::Read, Shows::All).is_err());
    }

    #[test]
    fn reading_is_open_until_a_token_may_read() {
        let tokens = Tokens::new(&[token("a", "one", &[Scope::Ingest])]);
        assert!(tokens.check(&HeaderMap::new(), Scope::Read, Shows::All).is_ok());
        assert!(tokens.check(&HeaderMap::new(), Scope::Ingest, Shows::All).is_err());
        assert!(Tokens::default().check(&HeaderMap::new(), Scope::Ingest, Shows::All).is_ok());
    }

    #[test]
    fn a_web_page_may_send_with_a_token_only() {
        let page = |authorization: Option<&str>| {
            let mut headers = authorization.map(headers).unwrap_or_default();
            headers.insert(header::ORIGIN, "https://example.com".parse().unwrap());
            headers
        };
        let code = |tokens: &Tokens, headers, scope| {
            tokens.check(&headers, scope, Shows::All).err().map(|problem| problem.code())
        };
        assert_eq!(code(&Tokens::default(), page(None), Scope::Ingest), Some(ProblemCode::Forbidden));
        assert_eq!(code(&Tokens::default(), page(Some("Bearer any")), Scope::Ingest), Some(ProblemCode::Forbidden));
        assert_eq!(code(&Tokens::default(), page(None), Scope::Read), None);
        let tokens = Tokens::new(&[token("a", "one", &[Scope::Ingest])]);
        assert_eq!(code(&tokens, page(Some("Bearer one")), Scope::Ingest), None);
        assert_eq!(code(&tokens, page(None), Scope::Ingest), Some(ProblemCode::Unauthorized));
    }

    #[test]
    fn a_token_of_a_subscription_opens_only_what_is_restricted_to_it() {
        let of_acme =
            TokenConfig { subscription: Some("acme".to_owned()), ..token("a", "one", &[Scope::Read, Scope::Query]) };
        let tokens = Tokens::new(&[of_acme]);
        let check = |scope, shows| {
            let checked = tokens.check(&headers("Bearer one"), scope, shows);
            checked.map(|bearer| bearer.1.unwrap().to_string()).map_err(|problem| problem.code())
        };
        for scope in [Scope::Read, Scope::Query] {
            assert_eq!(check(scope, Shows::Own), Ok("acme".to_owned()));
            assert_eq!(check(scope, Shows::All), Err(ProblemCode::Forbidden));
        }
        assert_eq!(check(Scope::Admin, Shows::Own), Err(ProblemCode::Forbidden));
    }

    #[test]
    fn without_tokens_reading_is_open_under_own_names_only() {
        let tokens = Tokens::default().with_host_names(&["floodmark.internal".to_owned()]);
        let code = |host: &str, scope| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            tokens.check(&headers, scope, Shows::All).err().map(|problem| problem.code())
        };
        for scope in [Scope::Read, Scope::Query] {
            for host in
                ["localhost:8460", "127.0.0.1:8460", "[::1]:8460", "Floodmark.internal:80", "floodmark.internal"]
            {
                assert_eq!(code(host, scope), None, "{host}");
            }
            for host in
                ["rebound.example.com:8460", "localhost.example.com", "10.0.0.1:8460", "", "floodmark.internal."]
            {
                assert_eq!(code(host, scope), Some(ProblemCode::Misdirected), "{host}");
            }
        }
        assert!(tokens.check(&HeaderMap::new(), Scope::Read, Shows::All).is_ok(), "HTTP/1.0");
    }
}
