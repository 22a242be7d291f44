//! The parameters of a request's URL, decoded as ClickHouse decodes them, and written anew: what ClickHouse reads is what
//! was looked at here, whatever escapes a client wrote.

use std::collections::BTreeSet;

/// Parameters that may stand more than once; of all others two readers may take different ones.
const SEVERAL: [&[u8]; 2] = [b"filter", b"role"];

/// Parameters in their order. Values are bytes: ClickHouse does not ask for UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parameters {
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Parameters {
    /// From what stands behind the `?`.
    pub(super) fn parse(query: &str) -> Self {
        let pair = |piece: &str| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (decoded(name), decoded(value))
        };
        Self { pairs: query.split('&').filter(|piece| !piece.is_empty()).map(pair).collect() }
    }

    /// A parameter that may stand only once and stands twice.
    pub(super) fn doubled(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        let is_once = |name: &&[u8]| !SEVERAL.contains(name) && !name.starts_with(b"param_");
        let doubled = self.names().filter(is_once).find(|name| !seen.insert(*name));
        doubled.map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// Value of the first parameter of that name.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.pairs.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// The same as text; absent when it is not UTF-8.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Takes every parameter of that name out, and gives the first one's value.
    pub(super) fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let value = self.get(name).map(<[u8]>::to_vec);
        self.pairs.retain(|(key, _)| key != name.as_bytes());
        value
    }

    /// Sets a parameter, whatever was there.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.pairs.retain(|(key, _)| key != name.as_bytes());
        self.pairs.push((name.as_bytes().to_vec(), value.into()));
    }

    /// The names, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.pairs.iter().map(|(name, _)| name.as_slice())
    }

    /// `name=value&…`, every byte escaped that is no letter, digit, or one of `-._~`.
    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.pairs {
            if !text.is_empty() {
                text.push('&');
            }
            encode_into(&mut text, name);
            text.push('=');
            encode_into(&mut text, value);
        }
        text
    }
}

fn encode_into(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            // Two digits are below 256.
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_written_one_way() {
        let parameters = Parameters::parse("query=SELECT+1%2B%31&us%65r=a%26b&flag&x=%zz%4");
        assert_eq!(parameters.text("query"), Some("SELECT 1+1"));
        assert_eq!(parameters.text("user"), Some("a&b"));
        assert_eq!(parameters.text("x"), Some("%zz%4"));
        assert_eq!(parameters.encode(), "query=SELECT%201%2B1&user=a%26b&flag=&x=%25zz%254");
        assert_eq!(Parameters::parse(&parameters.encode()), parameters);
    }

    #[test]
    fn a_name_is_one_however_it_is_written() {
        assert_eq!(Parameters::parse("quota_key=a&quota%5Fkey=b").doubled().as_deref(), Some("quota_key"));
        assert_eq!(
            Parameters::parse("max_memory_usage=1&max_memory_usage=0").doubled().as_deref(),
            Some("max_memory_usage")
        );
        assert_eq!(Parameters::parse("role=a&role=b&a=1&b=1").doubled(), None);
        assert_eq!(Parameters::parse("param_a=1&param_a=2").doubled(), None);
        let mut parameters = Parameters::parse("a=1&b=2&a=3");
        assert_eq!(parameters.take("a"), Some(b"1".to_vec()));
        parameters.set("b", "x y");
        assert_eq!(parameters.encode(), "b=x%20y");
    }
}
