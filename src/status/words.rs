//! Words of a person, looked through for names before they are public.
//!
//! What may not be public: names that internal incidents hold (customers, clients, services, hosts …), words that the
//! configuration forbids, addresses of mail and of machines. What may: names of the page and of its components, wherever
//! they stand. Letters count as the same however they are typed (case, width, composition), and invisible ones do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use icu_normalizer::ComposingNormalizerBorrowed;
use regex::Regex;

use super::public_text::PublicText;

/// Shorter names are syllables of ordinary words.
pub const NAME_CHARS_MIN: usize = 4;

/// Why words may not be public.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// A name that an internal incident holds.
    #[error("\"{0}\" may not be public: an internal incident knows it as a name")]
    Name(String),
    /// A word that the configuration forbids.
    #[error("\"{0}\" may not be public: status.forbidden_words names it")]
    Forbidden(String),
    /// An address of mail.
    #[error("\"{0}\" may not be public: it is a mail address")]
    Mail(String),
    /// An IP address.
    #[error("\"{0}\" may not be public: it is the address of a machine")]
    Address(String),
    /// The name of a machine inside.
    #[error("\"{0}\" may not be public: it is the name of a machine inside")]
    Host(String),
}

/// Why a name may not be public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Incident,
    Configuration,
}

/// What texts are held against.
#[derive(Debug, Clone, Default)]
pub struct WordCheck {
    allowed: Vec<String>,
    /// As they are compared, to how they are written.
    names: BTreeMap<String, (String, Source)>,
}

// The patterns are constant; the tests below prove that they are patterns.
static MAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)*").ok());
static HOST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let suffixes = "internal|local|localdomain|lan|corp|intranet|private|home\\.arpa|svc|consul|cluster|ec2";
    let is_host = format!(r"\b(localhost|[\p{{L}}\p{{N}}_-]+(\.[\p{{L}}\p{{N}}_-]+)*\.({suffixes}))\b");
    Regex::new(&is_host).ok()
});

impl WordCheck {
    /// Allows names of the page and its components.
    #[must_use]
    pub fn allowing<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let allowed = names.into_iter().map(compared).filter(|name| !name.is_empty()).collect();
        Self { allowed, names: BTreeMap::new() }
    }

    /// Refuses words that the configuration names, however short.
    #[must_use]
    pub fn forbidding<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        for word in words {
            self.refuse(word, Source::Configuration);
        }
        self
    }

    /// Refuses names of internal incidents, but for very short ones.
    #[must_use]
    pub fn hiding<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        for name in names.into_iter().filter(|name| name.chars().count() >= NAME_CHARS_MIN) {
            self.refuse(name, Source::Incident);
        }
        self
    }

    fn refuse(&mut self, name: &str, source: Source) {
        let key = compared(name);
        if !key.is_empty() && !self.allowed.contains(&key) {
            self.names.entry(key).or_insert_with(|| (name.to_owned(), source));
        }
    }

    /// Lets words pass that hold no name.
    ///
    /// # Errors
    /// The first word that may not be public.
    pub fn check(&self, text: &str) -> Result<PublicText, WordError> {
        let seen = compared(text);
        if let Some(found) = MAIL.as_ref().and_then(|mail| mail.find(&seen)) {
            return Err(WordError::Mail(found.as_str().to_owned()));
        }
        if let Some(address) = address(&seen) {
            return Err(WordError::Address(address));
        }
        let free = |from: usize, to: usize| !self.is_allowed(&seen, from, to);
        let host = |host: &Regex| host.find_iter(&seen).find(|found| free(found.start(), found.end()));
        if let Some(found) = HOST.as_ref().and_then(host) {
            return Err(WordError::Host(found.as_str().to_owned()));
        }
        let words: BTreeSet<&str> = words_of(&seen).collect();
        // A name can only be there where all its words are: this keeps thousands of names cheap.
        let candidates = self.names.iter().filter(|(name, _)| words_of(name).all(|word| words.contains(word)));
        let is_there = |name: &str| occurrences(&seen, name).any(|from| free(from, from + name.len()));
        let found = candidates.filter(|(name, _)| is_there(name)).max_by_key(|(name, _)| name.len());
        match found.map(|(_, known)| known) {
            None => Ok(PublicText::passed(text.to_owned())),
            Some((written, Source::Incident)) => Err(WordError::Name(written.clone())),
            Some((written, Source::Configuration)) => Err(WordError::Forbidden(written.clone())),
        }
    }

    /// Whether this place is inside an allowed name.
    fn is_allowed(&self, text: &str, from: usize, to: usize) -> bool {
        let mut allowed = self.allowed.iter();
        allowed.any(|name| occurrences(text, name).any(|start| start <= from && to <= start + name.len()))
    }
}

/// A text as it is compared: one form of each letter, no case, no invisible characters, one blank between words.
fn compared(text: &str) -> String {
    let visible: String = text.chars().filter(|character| !is_invisible(*character)).collect();
    let lower = ComposingNormalizerBorrowed::new_nfkc().normalize(&visible).to_lowercase();
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(&lower).into_owned();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Characters that are not seen: with one inside it a name would not look like itself to us, and to readers it would.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}'
    )
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Where `name` stands in `text` as whole words.
fn occurrences<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let begins_word = name.starts_with(char::is_alphanumeric);
    let ends_word = name.ends_with(char::is_alphanumeric);
    // Matches of a name with itself may overlap: each place is looked at.
    let places = text.char_indices().map(|(at, _)| at).filter(move |at| text[*at..].starts_with(name));
    places.filter(move |at| {
        let is_inside = begins_word && text[..*at].ends_with(char::is_alphanumeric);
        let goes_on = ends_word && text[at + name.len()..].starts_with(char::is_alphanumeric);
        !is_inside && !goes_on
    })
}

fn address(text: &str) -> Option<String> {
    let is_part = |character: char| character.is_ascii_hexdigit() || matches!(character, '.' | ':');
    let pieces = text.split(|character: char| !is_part(character)).filter(|piece| piece.len() >= 3);
    let parses = |text: &str| text.parse::<IpAddr>().is_ok();
    let readings = |piece: &str| {
        let trimmed = piece.trim_end_matches(['.', ':']).trim_start_matches('.');
        let without_port = trimmed.rsplit_once(':').map_or(trimmed, |(host, _)| host);
        [piece, trimmed, without_port].into_iter().find(|text| parses(text)).map(str::to_owned)
    };
    pieces.into_iter().find_map(readings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> WordCheck {
        WordCheck::allowing(["Acme API", "Search & fingerprints", "api"]).forbidding(["Zeus", "HQ"]).hiding([
            "acme",
            "Contoso GmbH",
            "container/api-1",
            "4.0.0",
            "abc",
            "Müller",
            "POST /v1/profiles/{id}",
            "API",
        ])
    }

    #[test]
    fn names_are_found_as_whole_words_however_they_are_typed() {
        for (text, word) in [
            ("Requests of ACME fail.", "acme"),
            ("(acme)", "acme"),
            ("acme_prod is slow", "acme"),
            ("ac\u{200b}me is slow", "acme"),
            ("ａｃｍｅ", "acme"),
            ("Acme", "acme"),
            ("Acme API is fine, Acme is not", "acme"),
            ("We talk to contoso\n  gmbh.", "Contoso GmbH"),
            ("container/API-1 restarts", "container/api-1"),
            ("since 4.0.0", "4.0.0"),
            ("MU\u{308}LLER", "Müller"),
            ("post /v1/profiles/{id} fails", "POST /v1/profiles/{id}"),
        ] {
            assert_eq!(check().check(text), Err(WordError::Name(word.to_owned())), "{text}");
        }
        assert_eq!(check().check("at the hq"), Err(WordError::Forbidden("HQ".to_owned())));
        assert_eq!(check().check("zeus"), Err(WordError::Forbidden("Zeus".to_owned())));
    }

    #[test]
    fn ordinary_words_and_public_names_pass() {
        for text in [
            "Acme API: about 37 % of requests fail since 10:04 CET.",
            "Search & Fingerprints are slow.",
            "acmeology is no name",
            "14.0.01 neither",
            "abc is too short a name",
            "The api is back. See https://status.example.com/incidents/x.html",
            "It lasted 1:23:45, from 10:04 to 10:41.",
            "A headquarters",
            "locally stored, internal errors, e.g. this.",
            "x @ y",
            "",
        ] {
            assert_eq!(check().check(text).map(PublicText::into_string), Ok(text.to_owned()));
        }
    }

    #[test]
    fn addresses_are_found() {
        let error = |text: &str| check().check(text).unwrap_err();
        assert_eq!(error("ask jane.doe+x@example.com."), WordError::Mail("jane.doe+x@example.com".to_owned()));
        assert_eq!(error("root@db7 knows"), WordError::Mail("root@db7".to_owned()));
        for (text, address) in [
            ("node 10.0.0.12.", "10.0.0.12"),
            ("http://192.168.1.7:8080/x", "192.168.1.7"),
            ("at ::1 and", "::1"),
            ("fe80::1ff:fe23:4567:890a,", "fe80::1ff:fe23:4567:890a"),
            ("[2001:db8::7]:443", "2001:db8::7"),
        ] {
            assert_eq!(error(text), WordError::Address(address.to_owned()), "{text}");
        }
        for (text, host) in [
            ("see db-7.eu.INTERNAL now", "db-7.eu.internal"),
            ("kafka.svc.cluster.local:9092", "kafka.svc.cluster.local"),
            ("on localhost.", "localhost"),
            ("printer.lan", "printer.lan"),
        ] {
            assert_eq!(error(text), WordError::Host(host.to_owned()), "{text}");
        }
    }
}
