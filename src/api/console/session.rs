//! Sessions: what a browser has in place of a bearer token. Kept in memory, bounded, each with an end; a restart ends all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::api::auth;
use crate::config::Scope;
use crate::model::{DurationMs, Timestamp};

/// Sessions at a time: people. The one that ends first makes room.
pub const SESSIONS_MAX: usize = 1_000;
/// A shift, and who is still there logs in again.
pub const SESSION_MS: DurationMs = 12 * 3_600_000;

/// A person who has shown a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Whose token it was.
    pub name: Arc<str>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it ends, by the wall clock.
    pub expires_at: Timestamp,
}

/// All sessions, by the hash of their secret: a dump of memory opens none.
pub(super) struct Sessions {
    /// Made at the start; form tokens are signed with it.
    key: [u8; 32],
    open: Mutex<BTreeMap<[u8; 32], Session>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("open", &self.lock().len()).finish_non_exhaustive()
    }
}

/// 256 random bits.
fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

impl Sessions {
    pub(super) fn new() -> Self {
        // Without random bits no form is believed: the empty key signs nothing (see `form_token`).
        Self { key: random().unwrap_or_default(), open: Mutex::default() }
    }

    /// Opens a session and gives its secret, for the cookie. Absent: this machine has no random bits.
    pub(super) fn open(&self, session: Session, now: Timestamp) -> Option<String> {
        let secret = URL_SAFE_NO_PAD.encode(random()?);
        let mut open = self.lock();
        open.retain(|_, known| known.expires_at > now);
        while open.len() >= SESSIONS_MAX {
            let first = open.iter().min_by_key(|(_, known)| known.expires_at).map(|(hash, _)| *hash);
            first.map(|hash| open.remove(&hash));
        }
        open.insert(auth::hash(&secret), session);
        Some(secret)
    }

    /// The session of a secret, while it lasts.
    pub(super) fn find(&self, secret: &str, now: Timestamp) -> Option<Session> {
        self.lock().get(&auth::hash(secret)).filter(|session| session.expires_at > now).cloned()
    }

    /// Ends a session.
    pub(super) fn close(&self, secret: &str) {
        self.lock().remove(&auth::hash(secret));
    }

    /// What a form has to bring to be believed: only pages that this process made for this session know it.
    pub(super) fn form_token(&self, secret: Option<&str>) -> String {
        let Some(mac) = self.mac(secret) else { return String::new() };
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// Whether a form brought it.
    pub(super) fn is_form_token(&self, secret: Option<&str>, given: &str) -> bool {
        let expected = self.form_token(secret);
        !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(given.as_bytes()))
    }

    fn mac(&self, secret: Option<&str>) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok().filter(|_| self.key != [0; 32])?;
        mac.update(b"form\0");
        mac.update(secret.unwrap_or_default().as_bytes());
        Some(mac)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], Session>> {
        // Each change is whole before anything could panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(expires_ms: i64) -> Session {
        let expires_at = Timestamp::from_millis(expires_ms);
        Session { name: "ops".into(), scopes: vec![Scope::Read], expires_at }
    }

    #[test]
    fn a_session_lasts_until_its_end_or_until_it_is_closed() {
        let (sessions, at) = (Sessions::new(), Timestamp::from_millis);
        let secret = sessions.open(session(1_000), at(0)).unwrap();
        assert!(sessions.find(&secret, at(999)).is_some());
        assert_eq!(sessions.find(&secret, at(1_000)), None);
        assert_eq!(sessions.find("guessed", at(0)), None);
        sessions.close(&secret);
        assert_eq!(sessions.find(&secret, at(0)), None);
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let (sessions, now) = (Sessions::new(), Timestamp::from_millis(0));
        let first = sessions.open(session(1), now).unwrap();
        for number in 0..SESSIONS_MAX {
            sessions.open(session(1_000 + i64::try_from(number).unwrap()), now);
        }
        assert_eq!(sessions.lock().len(), SESSIONS_MAX);
        assert_eq!(sessions.find(&first, now), None, "it would have ended first");
    }

    #[test]
    fn a_form_is_believed_in_its_own_session_only() {
        let sessions = Sessions::new();
        let token = sessions.form_token(Some("a"));
        assert!(sessions.is_form_token(Some("a"), &token));
        assert!(!sessions.is_form_token(Some("b"), &token) && !sessions.is_form_token(None, &token));
        assert!(!sessions.is_form_token(Some("a"), ""));
        assert_ne!(Sessions::new().form_token(Some("a")), token, "another process");
        let without = Sessions { key: [0; 32], open: Mutex::default() };
        assert!(!without.is_form_token(None, &without.form_token(None)));
    }
}
