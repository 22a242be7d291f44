//! Unknown fields of an event, kept as text and bounded.

use serde::ser::SerializeMap;

use super::{Text, names_credential};

/// Most unknown fields kept of one event; further ones are dropped and [`Attributes::dropped`] counts them.
pub const ATTRIBUTES_MAX: usize = 32;
/// Longest name or value kept, in bytes; longer values are dropped and counted, never cut in half.
pub const ATTRIBUTE_BYTES_MAX: usize = 1_024;

/// Name/value pairs in the order they were read. Names are unique: the first one wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    entries: Vec<(Text, Text)>,
    dropped: u32,
}

impl Attributes {
    /// Keeps `name = value`, unless a bound is reached, the name is one of a credential, or the value is empty (it was
    /// withheld). What is not kept is counted.
    pub fn insert(&mut self, name: &str, value: &str) {
        let too_long = name.len() > ATTRIBUTE_BYTES_MAX || value.len() > ATTRIBUTE_BYTES_MAX;
        let full = self.entries.len() >= ATTRIBUTES_MAX;
        if too_long || full || value.is_empty() || self.get(name).is_some() || names_credential(name) {
            return self.leave_out();
        }
        self.entries.push((Text::from(name), Text::from(value)));
    }

    /// Counts a field that is not kept.
    pub fn leave_out(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
    }

    /// The value of `name`, if it was kept.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The pairs that were kept.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// How many pairs are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many fields of the event were not kept: because of a bound, or as credentials.
    #[must_use]
    pub fn dropped(&self) -> u32 {
        self.dropped
    }
}

impl serde::Serialize for Attributes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_counted() {
        let mut attributes = Attributes::default();
        for i in 0..ATTRIBUTES_MAX + 3 {
            attributes.insert(&format!("name{i}"), "value");
        }
        attributes.insert("long", &"x".repeat(ATTRIBUTE_BYTES_MAX + 1));
        assert_eq!(attributes.len(), ATTRIBUTES_MAX);
        assert_eq!(attributes.dropped(), 4);
        assert_eq!(attributes.get("name0"), Some("value"));
    }

    #[test]
    fn credentials_are_left_out_and_counted() {
        let mut attributes = Attributes::default();
        attributes.insert("Authorization", "Bearer abc");
        attributes.insert("colour", "green");
        assert_eq!((attributes.len(), attributes.dropped()), (1, 1));
    }
}
