//! Applies a plan, kind by kind, and looks after each whether the server is now as it should be.

use std::collections::BTreeSet;

use super::Desired;
use super::objects::Kind;
use super::plan::{Action, Change, Plan, PlanOptions, Way, plan};
use super::state::{Existing, read_existing};
use super::statements::{Statement, statements};
use crate::store::{ClickHouse, Endpoint, StoreError};

/// A plan could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Something is in the way that is not the guard's.
    #[error("{} in the way:\n{}", count(.0.len()), .0.join("\n"))]
    Conflicts(Vec<String>),
    /// A statement was refused. Those before it are done; the plan can be applied again.
    #[error("{statement}: {source}")]
    Statement {
        /// As shown.
        statement: String,
        /// Why.
        source: StoreError,
    },
    /// The statements were accepted, and the server is not as it should be.
    #[error("after its statements {} `{}` still differs: {differences}", .kind.as_str(), .name)]
    NotAsPlanned {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// In what.
        differences: String,
    },
    /// The server's state could not be read.
    #[error("cannot look whether it worked: {0}")]
    Unreadable(#[source] StoreError),
}

fn count(conflicts: usize) -> String {
    if conflicts == 1 { "1 object is".to_owned() } else { format!("{conflicts} objects are") }
}

/// Where to apply.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The server, as the guard's user.
    pub clickhouse: &'a ClickHouse,
    /// The same, for trying passwords.
    pub endpoint: &'a Endpoint,
    /// What there should be.
    pub desired: &'a Desired,
    /// How the plan was made.
    pub options: PlanOptions,
}

/// Applies what SQL can do of a plan: makes and changes kind by kind, users last, then removes. Each kind is read back
/// before the next begins. `said` is told of every statement before it is sent.
///
/// # Errors
/// See [`ApplyError`]. What is done stays done, and a second try goes on from there.
pub async fn apply(target: Target<'_>, plan: &Plan, mut said: impl FnMut(&str)) -> Result<usize, ApplyError> {
    let conflicts: Vec<String> = plan
        .conflicts()
        .map(|change| {
            format!("{} `{}` {}", change.kind.as_str(), change.name, change.conflict.as_deref().unwrap_or(""))
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(ApplyError::Conflicts(conflicts));
    }
    let (removals, others): (Vec<&Change>, Vec<&Change>) =
        plan.by(Way::Sql).partition(|change| change.action == Action::Remove);
    let mut sent = 0;
    for kind in Kind::ALL {
        sent += send(target, others.iter().filter(|change| change.kind == kind), &mut said).await?;
    }
    // Dependants first: the plan has them in that order.
    sent += send(target, removals.iter(), &mut said).await?;
    Ok(sent)
}

async fn send<'a>(
    target: Target<'_>,
    changes: impl Iterator<Item = &'a &'a Change>,
    said: &mut impl FnMut(&str),
) -> Result<usize, ApplyError> {
    let mut touched = BTreeSet::new();
    let mut sent = 0;
    for change in changes {
        for Statement { sql, shown } in statements(change, target.desired) {
            said(&shown);
            let refused = |source| ApplyError::Statement { statement: shown.clone(), source };
            target.clickhouse.execute(&sql).await.map_err(refused)?;
            sent += 1;
        }
        touched.insert((change.kind, change.name.as_str()));
    }
    if !touched.is_empty() {
        verify(target, &touched).await?;
    }
    Ok(sent)
}

async fn verify(target: Target<'_>, touched: &BTreeSet<(Kind, &str)>) -> Result<(), ApplyError> {
    let read = read_existing(target.clickhouse, target.endpoint, target.desired).await;
    let existing: Existing = read.map_err(ApplyError::Unreadable)?;
    let left = plan(target.desired, &existing, Vec::new(), target.options);
    match left.changes.into_iter().find(|change| touched.contains(&(change.kind, change.name.as_str()))) {
        None => Ok(()),
        Some(change) => {
            let difference = |d: &super::plan::Difference| {
                let text = |side: &Option<String>| side.clone().unwrap_or_else(|| "(none)".to_owned());
                format!("{} is {}, not {}", d.attribute, text(&d.old), text(&d.new))
            };
            let differences = change.differences.iter().map(difference).collect::<Vec<_>>().join("; ");
            Err(ApplyError::NotAsPlanned { kind: change.kind, name: change.name, differences })
        }
    }
}
