//! What would have to be done to a server so that a policy holds there. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::advice::Advice;
use super::check::Hole;
use super::desired::Desired;
use super::objects::{Attributes, Kind, Objects};
use super::state::Existing;

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is not there.
    Create,
    /// It differs.
    Change,
    /// It is the guard's, and no longer in the policy.
    Remove,
    /// It is there and somebody else's, or kept where SQL does not reach: nothing is done before a person has decided.
    Conflict,
}

/// By which way it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// With SQL.
    Sql,
    /// With a file that the server reads.
    UsersXml,
}

/// One attribute that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which.
    pub attribute: String,
    /// As it is; absent: not there.
    pub old: Option<String>,
    /// As it should be; absent: it should not be there.
    pub new: Option<String>,
}

/// One object that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What is to be done.
    pub action: Action,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// By which way.
    pub way: Way,
    /// In what it differs, in the order of the attributes' names.
    pub differences: Vec<Difference>,
    /// For a conflict: why, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
}

/// All that differs, in the order in which it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What differs.
    pub changes: Vec<Change>,
    /// Of the policy: allowed, and worth a thought.
    pub warnings: Vec<Hole>,
    /// Of the server: what SQL cannot change.
    pub advice: Vec<Advice>,
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanOptions {
    /// Whether users are made with SQL. Else they come from `users.xml`.
    pub sql_access: bool,
    /// Whether users of the policy that are somebody else's are taken over.
    pub adopt: bool,
}

impl Plan {
    /// Whether the server is as the policy says.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Those that have to be decided first.
    pub fn conflicts(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.action == Action::Conflict)
    }

    /// Those of one way.
    pub fn by(&self, way: Way) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.way == way && change.action != Action::Conflict)
    }
}

/// Compares what there should be with what there is.
#[must_use]
pub fn plan(desired: &Desired, existing: &Existing, advice: Vec<Advice>, options: PlanOptions) -> Plan {
    let wanted = desired.objects(options.sql_access);
    let mut changes = made_or_changed(&wanted, existing, options);
    // Parents come before their children in `desired`, and names alone would not keep that order.
    let place: BTreeMap<&str, usize> =
        desired.workloads.iter().enumerate().map(|(at, w)| (w.name.as_str(), at)).collect();
    changes.sort_by_key(|change| (change.kind, place.get(change.name.as_str()).copied(), change.name.clone()));
    changes.extend(removed(&wanted, existing, options));
    Plan { changes, warnings: desired.warnings.clone(), advice }
}

fn made_or_changed(wanted: &Objects, existing: &Existing, options: PlanOptions) -> Vec<Change> {
    let mut changes = Vec::new();
    for ((kind, name), new) in wanted {
        let key = (*kind, name.clone());
        let old = existing.objects.get(&key);
        let differences = differences(old, new);
        if differences.is_empty() && !(old.is_some() && is_foreign(&key, existing, options)) {
            continue;
        }
        let action = if old.is_some() { Action::Change } else { Action::Create };
        changes.push(change(action, key, differences, existing, options));
    }
    changes
}

/// Objects of the guard that the policy no longer has, dependants first.
fn removed(wanted: &Objects, existing: &Existing, options: PlanOptions) -> Vec<Change> {
    let gone: BTreeSet<&(Kind, String)> = existing.objects.keys().filter(|key| !wanted.contains_key(*key)).collect();
    // A parent cannot be dropped before its children: the deepest first.
    let parent = |name: &str| existing.objects.get(&(Kind::Workload, name.to_owned()))?.get("parent").cloned();
    let depth = |name: &str| {
        let mut above = std::iter::successors(parent(name), |name| parent(name));
        // No tree of workloads is this deep; a server that says so must not keep us.
        above.by_ref().take(DEPTH_MAX).count()
    };
    let mut gone: Vec<_> = gone.into_iter().collect();
    gone.sort_by_key(|(kind, name)| (std::cmp::Reverse(*kind), std::cmp::Reverse(depth(name)), name.clone()));
    let to_change = |key: &(Kind, String)| change(Action::Remove, key.clone(), Vec::new(), existing, options);
    gone.into_iter().map(to_change).collect()
}

/// A hierarchy of workloads is followed no deeper.
const DEPTH_MAX: usize = 100;

fn is_foreign(key: &(Kind, String), existing: &Existing, options: PlanOptions) -> bool {
    // Two entries of one user in files would be merged into one that is neither: there nothing can be taken over.
    let adopted = options.adopt && options.sql_access;
    key.0 == Kind::User && !adopted && existing.foreign_users.contains(&key.1)
}

fn change(
    action: Action,
    key: (Kind, String),
    differences: Vec<Difference>,
    existing: &Existing,
    options: PlanOptions,
) -> Change {
    let conflict = if is_foreign(&key, existing, options) {
        Some(
            "is there, and not the guard's: name another user in the policy, drop this one, or take it over with --adopt",
        )
    } else if options.sql_access && existing.from_users_xml.contains(&key) {
        Some("comes from users.xml, which SQL cannot change: take it out there first")
    } else {
        None
    };
    let way = if key.0.is_access() && !options.sql_access { Way::UsersXml } else { Way::Sql };
    Change {
        action: if conflict.is_some() { Action::Conflict } else { action },
        kind: key.0,
        name: key.1,
        way,
        differences,
        conflict: conflict.map(str::to_owned),
    }
}

fn differences(old: Option<&Attributes>, new: &Attributes) -> Vec<Difference> {
    let nothing = Attributes::new();
    let old = match old {
        // An object without attributes still has to be made.
        None if new.is_empty() => {
            return vec![Difference { attribute: "exists".to_owned(), old: None, new: Some("yes".to_owned()) }];
        }
        old => old.unwrap_or(&nothing),
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let difference = |name: &String| {
        let (old, new) = (old.get(name), new.get(name));
        (old != new).then(|| Difference { attribute: name.clone(), old: old.cloned(), new: new.cloned() })
    };
    names.into_iter().filter_map(difference).collect()
}
