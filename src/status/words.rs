//! Words of a person, looked through for names before they are public.
//!
//! What may not be public: names that internal incidents hold (customers, clients, services, hosts …), words that the
//! configuration forbids, addresses of mail and of machines. What may: names of the page and of its components, wherever
//! they stand. Letters count as the same however they are typed (case, width, accents, their doubles in other alphabets), and
//! invisible ones do not count; nor does it matter whether a blank or a hyphen is between words, or an s behind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::LazyLock;

use icu_normalizer::DecomposingNormalizerBorrowed;
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
    let of_address = r"ip-[0-9]{1,3}(-[0-9]{1,3}){3}";
    let is_host = format!(r"\b(localhost|{of_address}|[\p{{L}}\p{{N}}_-]+(\.[\p{{L}}\p{{N}}_-]+)*\.({suffixes}))\b");
    Regex::new(&is_host).ok()
});
static IPV4: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[0-9]+(\.[0-9]+)*").ok());
// Marks upon letters, and characters that are not seen: with one inside it a name would not look like itself to us, and to
// readers it would.
static UNSEEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let further = r"\u{115f}\u{1160}\u{3164}\u{ffa0}\u{fff0}-\u{fff8}\u{e0000}-\u{e0fff}";
    Regex::new(&format!(r"[\p{{Mn}}\p{{Me}}\p{{Cf}}{further}]+")).ok()
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
        let key = joined(&compared(name));
        if !key.is_empty() && !self.allowed.iter().any(|allowed| joined(allowed) == key) {
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
        let is_free = |found: &regex::Match<'_>| !is_inside(&self.allowed, &seen, found.start(), found.end());
        let host = |host: &Regex| host.find_iter(&seen).find(is_free);
        if let Some(found) = HOST.as_ref().and_then(host) {
            return Err(WordError::Host(found.as_str().to_owned()));
        }
        let (seen, allowed) = (joined(&seen), self.allowed.iter().map(|name| joined(name)).collect::<Vec<_>>());
        let singular = words_of(&seen).filter_map(|word| word.strip_suffix('s'));
        let words: BTreeSet<&str> = words_of(&seen).chain(singular).collect();
        // A name can only be there where all its words are: this keeps thousands of names cheap.
        let candidates = self.names.iter().filter(|(name, _)| words_of(name).all(|word| words.contains(word)));
        let is_there =
            |name: &str| occurrences(&seen, name).any(|from| !is_inside(&allowed, &seen, from, from + name.len()));
        let found = candidates.filter(|(name, _)| is_there(name)).max_by_key(|(name, _)| name.len());
        match found.map(|(_, known)| known) {
            None => Ok(PublicText::passed(text.to_owned())),
            Some((written, Source::Incident)) => Err(WordError::Name(written.clone())),
            Some((written, Source::Configuration)) => Err(WordError::Forbidden(written.clone())),
        }
    }
}

/// Whether this place of a text is inside one of the names.
fn is_inside(names: &[String], text: &str, from: usize, to: usize) -> bool {
    names.iter().any(|name| occurrences(text, name).any(|start| start <= from && to <= start + name.len()))
}

/// A text as it is compared: one form of each letter, no case, nothing that is not seen, one blank between words.
fn compared(text: &str) -> String {
    let apart = DecomposingNormalizerBorrowed::new_nfkd().normalize(text);
    let seen = UNSEEN.as_ref().map_or(apart.clone(), |unseen| unseen.replace_all(&apart, ""));
    let lower: String = seen.to_lowercase().chars().map(plain).collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is between words is a blank: who knows `acme-corp` writes of Acme Corp.
fn joined(text: &str) -> String {
    text.split(|character: char| character.is_whitespace() || matches!(character, '-' | '_'))
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Lower-case letters of other alphabets that look like Latin ones, and all hyphens, as those.
fn plain(character: char) -> char {
    match character {
        'а' | 'α' => 'a',
        'в' | 'β' => 'b',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ε' => 'e',
        'һ' | 'н' => 'h',
        'і' | 'ι' | 'ı' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'м' | 'μ' => 'm',
        'ν' => 'v',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'у' | 'υ' => 'y',
        'х' | 'χ' => 'x',
        'ԝ' => 'w',
        'ζ' => 'z',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        other => other,
    }
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Where `name` stands in `text` as whole words; also as more than one, with an s behind.
fn occurrences<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let begins_word = name.starts_with(char::is_alphanumeric);
    let ends_word = name.ends_with(char::is_alphanumeric);
    // Matches of a name with itself may overlap: each place is looked at.
    let places = text.char_indices().map(|(at, _)| at).filter(move |at| text[*at..].starts_with(name));
    places.filter(move |at| {
        let is_inside = begins_word && text[..*at].ends_with(char::is_alphanumeric);
        let rest = &text[at + name.len()..];
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let goes_on = ends_word && rest.starts_with(char::is_alphanumeric);
        !is_inside && !goes_on
    })
}

fn address(text: &str) -> Option<String> {
    let of_four = |text: &str| {
        let octets: Vec<_> = text.split('.').collect();
        octets.len() == 4 && octets.iter().all(|octet| octet.len() <= 3 && octet.parse::<u8>().is_ok())
    };
    let mut numbers = IPV4.as_ref().into_iter().flat_map(|numbers| numbers.find_iter(text));
    if let Some(found) = numbers.find(|found| of_four(found.as_str())) {
        return Some(found.as_str().to_owned());
    }
    let is_part = |character: char| character.is_ascii_hexdigit() || matches!(character, '.' | ':');
    let mut pieces = text.split(|character: char| !is_part(character)).filter(|piece| piece.len() >= 3);
    pieces.find_map(|piece| {
        let trimmed = piece.trim_end_matches(['.', ':']).trim_start_matches('.');
        let without_port = trimmed.rsplit_once(':').map_or(trimmed, |(host, _)| host);
        let mut readings = [piece, trimmed, without_port].into_iter();
        readings.find(|text| text.parse::<Ipv6Addr>().is_ok()).map(str::to_owned)
    })
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
            "big-shop_eu",
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
            ("Herr Muller", "Müller"),
            ("a\u{336}c\u{336}m\u{336}e\u{336}", "acme"),
            ("ac\u{fff9}me", "acme"),
            ("\u{0410}\u{0421}\u{041c}\u{0415}", "acme"),
            ("two acmes", "acme"),
            ("Acme’s requests", "acme"),
            ("Big Shop EU is slow", "big-shop_eu"),
            ("big\u{2011}shop\u{2013}eu", "big-shop_eu"),
            ("our Big  Shop\nEUs", "big-shop_eu"),
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
            "acmess is none, nor is big shop",
            "Search & fingerprints, search and fingerprint",
            "since 1.2.3.4.5 and 300.1.1.1",
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
            ("node:10.0.0.7 is out", "10.0.0.7"),
            ("cache10.0.0.7/8", "10.0.0.7"),
            ("010.000.000.007", "010.000.000.007"),
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
            ("on ip-10-0-0-12 only", "ip-10-0-0-12"),
        ] {
            assert_eq!(error(text), WordError::Host(host.to_owned()), "{text}");
        }
    }
}
