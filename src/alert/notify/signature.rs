//! Signatures of webhooks, as Standard Webhooks has them: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, one for each secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::config::Secret;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret, as the specification has them.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most secrets of one webhook: while they are rotated there are two.
const SECRETS_MAX: usize = 4;

/// The secrets of one webhook.
#[derive(Clone, Default)]
pub(super) struct Signer(Vec<Vec<u8>>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Signer {
    /// Reads secrets, one a line.
    ///
    /// # Errors
    /// What is wrong, without the secret.
    pub fn new(secrets: &Secret) -> Result<Self, String> {
        let lines = secrets.expose().lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<Vec<u8>> = lines.map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() || keys.len() > SECRETS_MAX {
            return Err(format!("must hold 1 to {SECRETS_MAX} secrets, one a line"));
        }
        Ok(Self(keys))
    }

    /// The header `webhook-signature`; absent without a secret.
    pub fn sign(&self, id: &str, timestamp_seconds: i64, body: &[u8]) -> Option<String> {
        let head = format!("{id}.{timestamp_seconds}.");
        let signature = |key: &Vec<u8>| {
            // HMAC takes a key of any length.
            let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            mac.update(head.as_bytes());
            mac.update(body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        };
        let signatures: Vec<String> = self.0.iter().filter_map(signature).collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }
}

fn key(line: &str) -> Result<Vec<u8>, String> {
    let text = line.strip_prefix(PREFIX).ok_or_else(|| format!("a secret must begin with {PREFIX}"))?;
    let key = STANDARD.decode(text).map_err(|_| format!("what follows {PREFIX} must be base64"))?;
    if SECRET_BYTES.contains(&key.len()) {
        return Ok(key);
    }
    Err(format!("a secret must be {} to {} bytes long", SECRET_BYTES.start(), SECRET_BYTES.end()))
}

#[cfg(test)]
mod tests {
    use standardwebhooks::Webhook;

    use super::*;
    use crate::clock;

    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    #[test]
    fn the_specifications_example_comes_out() {
        let signer = Signer::new(&Secret::new(OLD)).unwrap();
        let signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn receivers_with_the_old_and_with_the_new_secret_accept_it_and_others_do_not() {
        let signer = Signer::new(&Secret::new(format!("{NEW}\n{OLD}\n"))).unwrap();
        let (id, seconds, body) = ("key/1", clock::now().as_millis() / 1_000, b"{}");
        let mut headers = http::HeaderMap::new();
        headers.insert("webhook-id", id.parse().unwrap());
        headers.insert("webhook-timestamp", seconds.to_string().parse().unwrap());
        headers.insert("webhook-signature", signer.sign(id, seconds, body).unwrap().parse().unwrap());
        for secret in [OLD, NEW] {
            Webhook::new(secret).unwrap().verify(body, &headers).unwrap();
            assert!(Webhook::new(secret).unwrap().verify(b"{ }", &headers).is_err());
        }
        let other = format!("whsec_{}", STANDARD.encode([7; 24]));
        assert!(Webhook::new(&other).unwrap().verify(body, &headers).is_err());
    }

    #[test]
    fn a_secret_that_is_none_is_refused_without_being_shown() {
        for text in ["", "hunter2", "whsec_hunter2!", "whsec_aHVudGVyMg=="] {
            let error = Signer::new(&Secret::new(text)).unwrap_err();
            assert!(!error.contains("hunter2") && !error.contains("aHVu"), "{error}");
        }
        assert!(Signer::new(&Secret::new([OLD; 5].join("\n"))).is_err());
        assert_eq!(Signer::default().sign("a", 1, b""), None);
    }
}
