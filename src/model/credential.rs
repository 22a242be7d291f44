//! Names of fields that hold credentials: their values are never kept.

/// Words that make a name one of a credential wherever they stand in it, by their first letter: this runs for every
/// unknown field of every event.
fn is_credential_word(word: &[u8]) -> bool {
    let words: &[&str] = match word.first().map(u8::to_ascii_lowercase) {
        Some(b'a') => &["authorization", "authentication", "apikey"],
        Some(b'b') => &["bearer"],
        Some(b'c') => &["cookie", "cookies", "credential", "credentials"],
        Some(b'j') => &["jwt"],
        Some(b'p') => &["password", "passwd", "passphrase", "pwd"],
        Some(b's') => &["secret", "secrets"],
        _ => return false,
    };
    words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

/// Ends that make a run of letters the name of a credential: not everybody separates words (`dbpassword`).
fn ends_as_credential(run: &[u8]) -> bool {
    let ends: &[&str] = match run.last().map(u8::to_ascii_lowercase) {
        Some(b'd') => &["password", "passwd"],
        Some(b't') => &["secret"],
        Some(b'y') => &["apikey", "accesskey", "privatekey", "secretkey"],
        _ => return false,
    };
    ends.iter().any(|end| ends_with(run, end))
}

fn ends_with(run: &[u8], end: &str) -> bool {
    run.len() >= end.len() && run[run.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

/// Whether a field of this name holds the headers of a request or an answer: `headers`, `request_headers`.
#[must_use]
pub fn names_headers(name: &str) -> bool {
    ends_with(name.as_bytes(), "headers")
}

/// Kinds of key that open something; a `request_key` does not.
const KEY_KINDS: [&str; 6] = ["api", "access", "private", "signing", "encryption", "subscription"];

/// Whether a field of this name holds a credential: `authorization`, `Set-Cookie`, `x-api-key`, `clientSecret`,
/// `access_token`, `DBPassword`, `authtoken`. A token that is not the last word is none (`token_count`), and
/// neither are `tokens`.
#[must_use]
pub fn names_credential(name: &str) -> bool {
    let bytes = name.as_bytes();
    let (mut start, mut run_start, mut before) = (0, 0, &bytes[..0]);
    while start < bytes.len() {
        let end = word_end(bytes, start);
        let word = &bytes[start..end];
        let key_of = |kind: &str| before.eq_ignore_ascii_case(kind.as_bytes());
        let key_of_kind = word.eq_ignore_ascii_case(b"key") && KEY_KINDS.iter().any(|kind| key_of(kind));
        if is_credential_word(word) || key_of_kind || ends_as_credential(&bytes[run_start..end]) {
            return true;
        }
        if !word.is_empty() {
            before = word;
        }
        start = end;
        if end < bytes.len() && !bytes[end].is_ascii_alphanumeric() {
            start = end + 1;
            run_start = start;
        }
    }
    ends_with(before, "token")
}

/// Where the word that begins at `start` ends: before what is no letter or digit, or a capital after a small letter
/// (`clientSecret`) or before one (`DBPassword`).
fn word_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    while end < bytes.len() && bytes[end].is_ascii_alphanumeric() {
        let before_small = bytes.get(end + 1).is_some_and(u8::is_ascii_lowercase);
        if end > start && bytes[end].is_ascii_uppercase() && (before_small || !bytes[end - 1].is_ascii_uppercase()) {
            break;
        }
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_known_by_their_names() {
        for name in [
            "authorization",
            "Authorization",
            "proxy-authorization",
            "request_Authorization",
            "http.request.header.authorization",
            "cookie",
            "Set-Cookie",
            "x-api-key",
            "X_API_KEY",
            "apiKey",
            "apikey",
            "password",
            "db.password.hash",
            "clientSecret",
            "client_secret",
            "token",
            "access_token",
            "accessToken",
            "x-auth-token",
            "session.token",
            "AWS_SECRET_ACCESS_KEY",
            "Ocp-Apim-Subscription-Key",
            "ünï token",
            "DBPassword",
            "DBPasswordHash",
            "dbpassword",
            "APIToken",
            "IDToken",
            "authtoken",
            "AUTHTOKEN",
            "accesstoken",
            "pwd",
            "userPwd",
            "clientsecret",
            "AWSAccessKey",
            "APIKey",
            "APIkey",
        ] {
            assert!(names_credential(name), "{name}");
        }
        for name in [
            "",
            "-",
            "route",
            "request_key",
            "idempotency_key",
            "key",
            "token_count",
            "completion_tokens",
            "tokens",
            "api_version",
            "secretary",
            "author",
            "keyboard",
            "accessed",
            "日本",
        ] {
            assert!(!names_credential(name), "{name}");
        }
    }
}
