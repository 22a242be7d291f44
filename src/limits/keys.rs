//! Who is limited: the values of one or more dimensions, as small numbers, with a bound.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::model::Dimension;
use crate::model::{Dimensions, Request, Text, Timestamp};

/// Keys followed: twice the subscriptions that the detectors are made for. Further ones are let pass, and counted.
pub const KEYS_MAX: usize = 200_000;

/// A key seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(u32);

impl KeyId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    #[cfg(test)]
    pub(super) fn new(number: u32) -> Self {
        Self(number)
    }
}

/// By what requests are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum By {
    /// Who is billed
    Subscription,
    /// The client program
    Client,
    /// The client program's version
    ClientVersion,
    /// Who answers
    Service,
    /// The route
    Route,
}

impl By {
    /// Spelling in arguments and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Client => "client",
            Self::ClientVersion => "client_version",
            Self::Service => "service",
            Self::Route => "route",
        }
    }
}

/// What describes a request, or all requests of a minute that are described alike. Absent is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Described<'a> {
    /// When, or the beginning of the minute.
    pub at: Timestamp,
    /// Who is billed.
    pub subscription: &'a str,
    /// Client program.
    pub client: &'a str,
    /// Its version.
    pub client_version: &'a str,
    /// Who answered.
    pub service: &'a str,
    /// Calling service; empty at the edge.
    pub caller: &'a str,
    /// Route.
    pub route: &'a str,
}

impl<'a> Described<'a> {
    /// Of a request.
    #[must_use]
    pub fn of(request: &'a Request) -> Self {
        let text = |text: &'a Option<Text>| text.as_deref().unwrap_or_default();
        Self {
            at: request.timestamp,
            subscription: &request.subscription,
            client: text(&request.client),
            client_version: text(&request.client_version),
            service: text(&request.service),
            caller: text(&request.caller),
            route: &request.route,
        }
    }

    fn value(&self, by: By) -> &'a str {
        match by {
            By::Subscription => self.subscription,
            By::Client => self.client,
            By::ClientVersion => self.client_version,
            By::Service => self.service,
            By::Route => self.route,
        }
    }

    /// Whether all of these hold; dimensions that requests do not have never do.
    #[must_use]
    pub fn matches(&self, dimensions: &Dimensions) -> bool {
        dimensions.0.iter().all(|(dimension, value)| {
            let own = match dimension {
                Dimension::Subscription => self.subscription,
                Dimension::Client => self.client,
                Dimension::ClientVersion => self.client_version,
                Dimension::Service => self.service,
                Dimension::Caller => self.caller,
                Dimension::Route => self.route,
                _ => return false,
            };
            own == value
        })
    }
}

/// The keys, by number.
#[derive(Debug)]
pub(super) struct Keys {
    by: Vec<By>,
    numbers: FxHashMap<Text, KeyId>,
    texts: Vec<Text>,
    /// Of the subscription that was seen with the key first.
    subscriptions: Vec<Text>,
    joined: String,
    keys_max: usize,
}

impl Keys {
    pub(super) fn new(by: &[By], keys_max: usize) -> Self {
        Self {
            by: by.to_vec(),
            numbers: FxHashMap::default(),
            texts: Vec::new(),
            subscriptions: Vec::new(),
            joined: String::new(),
            keys_max,
        }
    }

    /// The key of what is described; `None` for a new one beyond the bound.
    pub(super) fn of(&mut self, described: &Described<'_>) -> Option<KeyId> {
        self.joined.clear();
        for (i, by) in self.by.iter().enumerate() {
            if i > 0 {
                self.joined.push_str(" / ");
            }
            self.joined.push_str(described.value(*by));
        }
        if let Some(key) = self.numbers.get(self.joined.as_str()) {
            return Some(*key);
        }
        if self.texts.len() >= self.keys_max {
            return None;
        }
        let key = KeyId(u32::try_from(self.texts.len()).ok()?);
        self.numbers.insert(Text::from(&self.joined), key);
        self.texts.push(Text::from(&self.joined));
        self.subscriptions.push(Text::from(described.subscription));
        Some(key)
    }

    pub(super) fn text(&self, key: KeyId) -> &Text {
        &self.texts[key.index()]
    }

    pub(super) fn subscription(&self, key: KeyId) -> &Text {
        &self.subscriptions[key.index()]
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = KeyId> + use<> {
        (0..u32::try_from(self.texts.len()).unwrap_or(u32::MAX)).map(KeyId)
    }
}
