//! What a threshold is judged by: the names of some dimensions.

use crate::flow::{CellKey, Name, Names};
use crate::model::{Dimension, Dimensions, Text};

/// Dimensions that a rule may tell apart at once.
pub(super) const BY_MAX: usize = 4;

/// The names of the rule's dimensions, in the rule's order; absent beyond them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([Name; BY_MAX]);

impl Key {
    /// Of the dimensions `by`, each named by `name`.
    pub fn of(by: &[Dimension], name: impl Fn(Dimension) -> Name) -> Self {
        let mut key = Self([Name::ABSENT; BY_MAX]);
        key.0.iter_mut().zip(by).for_each(|(place, dimension)| *place = name(*dimension));
        key
    }

    /// The name of a dimension, if it is among `by`.
    pub fn get(&self, by: &[Dimension], dimension: Dimension) -> Option<Name> {
        by.iter().position(|own| *own == dimension).and_then(|place| self.0.get(place).copied())
    }

    /// The key whose labels these are, where all of their names have been seen.
    pub fn from_labels(by: &[Dimension], labels: &Dimensions, names: &Names) -> Option<Self> {
        let name = |dimension: &Dimension| labels.get(*dimension).map_or(Some(Name::ABSENT), |text| names.known(text));
        let known: Option<Vec<Name>> = by.iter().map(name).collect();
        known.map(|known| {
            let mut key = Self([Name::ABSENT; BY_MAX]);
            key.0.iter_mut().zip(known).for_each(|(place, name)| *place = name);
            key
        })
    }

    /// As labels; what is absent is left out.
    pub fn labels(&self, by: &[Dimension], names: &Names) -> Dimensions {
        let present = by.iter().zip(self.0).filter(|(_, name)| !name.is_absent());
        Dimensions::new(present.map(|(dimension, name)| (*dimension, names.text(name).clone())))
    }

    /// The texts, for an order that does not depend on how names were numbered.
    pub fn texts<'a>(&self, names: &'a Names) -> [&'a Text; BY_MAX] {
        self.0.map(|name| names.text(name))
    }
}

/// The name that a combination of requests has for a dimension.
pub(super) fn of_cell(key: &CellKey, dimension: Dimension) -> Name {
    match dimension {
        Dimension::Subscription => key.subscription,
        Dimension::Client => key.client,
        Dimension::ClientVersion => key.client_version,
        Dimension::Service => key.service,
        Dimension::Caller => key.caller,
        Dimension::Route => key.route,
        _ => Name::ABSENT,
    }
}
