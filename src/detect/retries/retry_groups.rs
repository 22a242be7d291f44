//! Who may be repeating requests: the groups that retries are counted by.

use rustc_hash::FxHashMap;

use super::onset_demand::Growth;
use crate::flow::{Cell, CellKey, Name, Names, ratio};
use crate::model::{Dimension, Dimensions};

/// One suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// A version of a client program, over all subscriptions (either may be absent, not both).
    Version {
        /// Client program.
        client: Name,
        /// Its version.
        client_version: Name,
    },
    /// All subscriptions whose requests name neither client nor version.
    Unversioned,
    /// A subscription, over all its clients.
    Subscription(Name),
    /// A calling service inside the platform.
    Caller {
        /// Calling service.
        caller: Name,
        /// Service called.
        service: Name,
    },
}

impl Group {
    /// The groups a request counts for: at the edge its version (or that it has none) and its subscription, inside its caller.
    pub fn of(key: &CellKey) -> impl Iterator<Item = Self> {
        let edge = key.caller.is_absent();
        let versioned = edge && !(key.client.is_absent() && key.client_version.is_absent());
        let version = if versioned {
            Self::Version { client: key.client, client_version: key.client_version }
        } else {
            Self::Unversioned
        };
        let caller = Self::Caller { caller: key.caller, service: key.service };
        [edge.then_some(version), edge.then_some(Self::Subscription(key.subscription)), (!edge).then_some(caller)]
            .into_iter()
            .flatten()
    }

    /// Labels of an alert about the group.
    #[must_use]
    pub fn labels(self, names: &Names) -> Dimensions {
        let pairs = match self {
            Self::Version { client, client_version } => {
                vec![(Dimension::Client, client), (Dimension::ClientVersion, client_version)]
            }
            Self::Unversioned => Vec::new(),
            Self::Subscription(subscription) => vec![(Dimension::Subscription, subscription)],
            Self::Caller { caller, service } => vec![(Dimension::Caller, caller), (Dimension::Service, service)],
        };
        let present = pairs.into_iter().filter(|(_, name)| !name.is_absent());
        Dimensions::new(present.map(|(dimension, name)| (dimension, names.text(name).clone())))
    }

    /// How people call the group.
    #[must_use]
    pub fn title(self, names: &Names) -> String {
        match self {
            Self::Version { client, client_version } if client.is_absent() => {
                format!("client version {}", names.text(client_version))
            }
            Self::Version { client, client_version } => {
                format!("{} {}", names.text(client), names.text(client_version)).trim_end().to_owned()
            }
            Self::Unversioned => "clients without a version".to_owned(),
            Self::Subscription(subscription) => format!("subscription {}", names.text(subscription)),
            Self::Caller { caller, service } if service.is_absent() => names.text(caller).to_string(),
            Self::Caller { caller, service } => format!("{} → {}", names.text(caller), names.text(service)),
        }
    }
}

/// Sums of the last minute for one suspect.
#[derive(Debug, Default)]
pub struct Suspect {
    /// All of it.
    pub cell: Cell,
    /// By subscription.
    pub by_subscription: FxHashMap<Name, Cell>,
    /// Whether its repeats are told from how its load has grown, because they come too late after failures to be told apart.
    pub by_growth: bool,
}

impl Suspect {
    /// Takes what its customers ask for beyond what they did before for their repeats, where that is more than is seen of
    /// single ones.
    pub(super) fn count_growth(&mut self, growth: &Growth) {
        if growth.beyond_budget <= self.cell.beyond_budget() {
            return;
        }
        let all: u64 = growth.grown.values().sum();
        // Some ask for less than before: what has grown is more than all have grown by together.
        let (resends, beyond) = (ratio(growth.resends, all), ratio(growth.beyond_budget, all));
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // shares of counts that stay far below 2^52
        let part = |share: f64, grown: u64| (share * grown as f64) as u64;
        for (name, grown) in &growth.grown {
            let Some(cell) = self.by_subscription.get_mut(name) else { continue };
            self.cell.subtract(cell);
            cell.raise_inferred(part(resends, *grown), part(beyond, *grown));
            self.cell.add(cell);
        }
        self.by_growth = true;
    }

    /// Subscriptions with attempts beyond the third.
    #[must_use]
    pub fn retrying(&self) -> usize {
        self.by_subscription.values().filter(|cell| cell.beyond_budget() > 0).count()
    }
}
