//! The values of a record that a mapping wants, by path. What nobody asked for is never held.

use rustc_hash::{FxHashMap, FxHashSet};

use super::scalar::Scalar;

/// Place of a wanted path among all of them.
pub(super) type PathId = u16;

/// The paths a mapping reads. Paths are compared without regard to the case of ASCII letters: header names have none.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    ids: FxHashMap<Box<str>, PathId>,
    /// What wanted paths begin with, up to each point: where nested objects are worth reading.
    beginnings: FxHashSet<Box<str>>,
}

impl Wanted {
    /// The id of `path`, which is wanted from now on.
    pub(super) fn add(&mut self, path: &str) -> PathId {
        let path = path.to_ascii_lowercase();
        for (point, _) in path.match_indices('.') {
            self.beginnings.insert(path[..point].into());
        }
        // Configuration has far fewer paths than an id can number; its bounds are checked when it is read.
        let next = PathId::try_from(self.ids.len()).unwrap_or(PathId::MAX);
        *self.ids.entry(path.into()).or_insert(next)
    }

    /// The id of a lower-case path, if it is wanted.
    pub(super) fn find(&self, path: &str) -> Option<PathId> {
        self.ids.get(path).copied()
    }

    /// Whether a wanted path goes on from here.
    pub(super) fn is_beginning(&self, path: &str) -> bool {
        self.beginnings.contains(path)
    }
}

/// What a record holds at the wanted paths.
#[derive(Debug, Default)]
pub(super) struct Values<'a>(Vec<(PathId, Scalar<'a>)>);

impl<'a> Values<'a> {
    /// Takes a value; of a repeated path the first counts.
    pub(super) fn set(&mut self, id: PathId, value: Scalar<'a>) {
        if !value.is_absent() && self.get(id).is_none() {
            self.0.push((id, value));
        }
    }

    /// The value at a path.
    pub(super) fn get(&self, id: PathId) -> Option<&Scalar<'a>> {
        self.0.iter().find(|(held, _)| *held == id).map(|(_, value)| value)
    }

    /// Takes over what `other` has at paths without a value here.
    pub(super) fn add_missing(&mut self, other: &Values<'a>) {
        other.0.iter().for_each(|(id, value)| self.set(*id, value.clone()));
    }
}

/// A path that is being walked, in lower case.
#[derive(Debug, Default)]
pub(super) struct Path(String);

impl Path {
    /// As it is now.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Goes to a member; [`Path::leave`] with the length that this gives goes back.
    pub(super) fn enter(&mut self, name: &str) -> usize {
        let length = self.0.len();
        if length > 0 {
            self.0.push('.');
        }
        let start = self.0.len();
        self.0.push_str(name);
        self.0[start..].make_ascii_lowercase();
        length
    }

    /// Back to where `enter` was called.
    pub(super) fn leave(&mut self, length: usize) {
        self.0.truncate(length);
    }
}
