//! The SQL of a change. An object that others refer to is altered in place: made anew it would have another identity, and
//! whoever referred to it would be held by nothing.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::desired::{Desired, Quota, User, Workload};
use super::objects::Kind;
use super::plan::{Action, Change, Difference};
use super::rows::quoted;
use super::setting::Setting;

/// A statement of a plan.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    /// As it is sent.
    pub sql: String,
    /// As it is shown: without the hash of a password.
    pub shown: String,
}

impl std::fmt::Debug for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Statement {
    fn plain(sql: String) -> Self {
        Self { shown: sql.clone(), sql }
    }
}

/// The statements of one change, in order. None for one that SQL cannot make.
#[must_use]
pub fn statements(change: &Change, desired: &Desired) -> Vec<Statement> {
    let name = quoted(&change.name);
    match (change.action, change.kind) {
        (Action::Conflict, _) => Vec::new(),
        (Action::Remove, kind) => vec![Statement::plain(format!("DROP {} IF EXISTS {name}", keyword(kind)))],
        (_, Kind::Profile) => profile(change, desired),
        (_, Kind::Role) => role(change, desired),
        (_, Kind::Quota) => desired.quotas.get(&change.name).map(|q| quota(&name, q)).into_iter().collect(),
        (_, Kind::Workload) => {
            let found = desired.workloads.iter().find(|workload| workload.name == change.name);
            found.map(workload_statement).into_iter().collect()
        }
        // A server can have one on disk that it does not show: an engine that forgot it when it was started anew.
        (_, Kind::Resource) => vec![Statement::plain(format!("CREATE OR REPLACE RESOURCE {name} (QUERY)"))],
        (_, Kind::User) => desired.users.get(&change.name).map_or_else(Vec::new, |user| user_statements(change, user)),
    }
}

fn keyword(kind: Kind) -> &'static str {
    match kind {
        Kind::Profile => "SETTINGS PROFILE",
        Kind::Role => "ROLE",
        Kind::Quota => "QUOTA",
        Kind::Workload => "WORKLOAD",
        Kind::Resource => "RESOURCE",
        Kind::User => "USER",
    }
}

fn profile(change: &Change, desired: &Desired) -> Vec<Statement> {
    let Some(settings) = desired.profiles.get(&change.name) else { return Vec::new() };
    let setting = |(name, setting): (&String, &Setting)| format!("{name}{}", setting.to_sql());
    let settings = settings.iter().map(setting).collect::<Vec<_>>().join(", ");
    let verb = if change.action == Action::Create { "CREATE" } else { "ALTER" };
    let mut sql = format!("{verb} SETTINGS PROFILE {} SETTINGS {settings}", quoted(&change.name));
    if change.differences.iter().any(|difference| difference.attribute == "applies to") {
        sql.push_str(" TO NONE");
    }
    vec![Statement::plain(sql)]
}

fn role(change: &Change, desired: &Desired) -> Vec<Statement> {
    let name = quoted(&change.name);
    let mut all = Vec::new();
    if change.action == Action::Create {
        all.push(Statement::plain(format!("CREATE ROLE {name}")));
    }
    let holds = |d: &Difference| d.attribute.starts_with("setting ") || d.attribute.starts_with("profile ");
    if change.differences.iter().any(holds) {
        // A role's settings would come on top of the profile's.
        all.push(Statement::plain(format!("ALTER ROLE {name} SETTINGS NONE")));
    }
    let revokes = |statement: &Statement| statement.sql.starts_with("REVOKE ");
    let changes = grants(change);
    if !changes.iter().any(revokes) {
        all.extend(changes);
        return all;
    }
    // What is taken from all databases is taken from each: whatever there should be is given again.
    all.extend(changes.into_iter().filter(revokes));
    let wanted = desired.roles.get(&change.name).into_iter().flatten();
    all.extend(wanted.map(|grant| Statement::plain(format!("GRANT {grant} TO {name}"))));
    all
}

/// Grants and revocations. What is too much goes first; what is granted in another form is taken and given again.
fn grants(change: &Change) -> Vec<Statement> {
    let holder = quoted(&change.name);
    let mut all = Vec::new();
    let of = |word: &'static str| {
        change.differences.iter().filter_map(move |d| d.attribute.strip_prefix(word).map(|what| (what, d)))
    };
    for (what, _) in of("revoke ") {
        // A partial revocation is taken back by granting what it took.
        all.push(Statement::plain(format!("GRANT {what} TO {holder}")));
    }
    let statement = |verb: &str, what: &str, word: &str| Statement::plain(format!("{verb} {what} {word} {holder}"));
    for (what, _) in of("grant ").filter(|(_, d)| d.old.is_some()) {
        all.push(statement("REVOKE", what, "FROM"));
    }
    for (what, _) in of("role ").filter(|(_, d)| d.old.is_some() && d.new.is_none()) {
        all.push(statement("REVOKE", &quoted(what), "FROM"));
    }
    for (what, _) in of("grant ").filter(|(_, d)| d.new.is_some()) {
        all.push(statement("GRANT", what, "TO"));
    }
    for (what, _) in of("role ").filter(|(_, d)| d.new.is_some()) {
        all.push(statement("GRANT", &quoted(what), "TO"));
    }
    all
}

/// Nothing refers to a quota, so it may be made anew: then no limit of before is left.
fn quota(name: &str, quota: &Quota) -> Statement {
    let limits = [("queries", quota.queries_max), ("read_bytes", quota.read_bytes_max)];
    let limits = limits.into_iter().filter_map(|(what, most)| most.map(|most| format!("{what} = {most}")));
    let limits = limits.collect::<Vec<_>>().join(", ");
    let role = quoted(&quota.role);
    let sql = format!("CREATE QUOTA OR REPLACE {name} KEYED BY user_name FOR INTERVAL 1 hour MAX {limits} TO {role}");
    Statement::plain(sql)
}

pub(super) fn workload_statement(workload: &Workload) -> Statement {
    let mut sql = format!("CREATE OR REPLACE WORKLOAD {}", quoted(&workload.name));
    if let Some(parent) = &workload.parent {
        // Writing to a String cannot fail.
        let _ = write!(sql, " IN {}", quoted(parent));
    }
    if !workload.settings.is_empty() {
        let settings: Vec<String> = workload.settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let _ = write!(sql, " SETTINGS {}", settings.join(", "));
    }
    Statement::plain(sql)
}

/// A new user gets its profile with its first statement: it never exists without being held.
fn user_statements(change: &Change, user: &User) -> Vec<Statement> {
    let name = quoted(&change.name);
    let differs = |prefix: &str| change.differences.iter().any(|d: &Difference| d.attribute.starts_with(prefix));
    let with_hash = |before: &str, after: &str| {
        let text = |hash: &str| format!("{before} IDENTIFIED WITH sha256_hash BY '{hash}'{after}");
        Statement { sql: text(&password_hash(user)), shown: text("***") }
    };
    let profile = format!(" SETTINGS PROFILE {}", quoted_text(&user.profile));
    let mut all = Vec::new();
    if change.action == Action::Create {
        all.push(with_hash(&format!("CREATE USER {name}"), &profile));
    } else {
        if differs("profile ") || differs("setting ") {
            all.push(Statement::plain(format!("ALTER USER {name}{profile}")));
        }
        if differs("authentication") || differs("password") {
            all.push(with_hash(&format!("ALTER USER {name}"), ""));
        }
    }
    all.extend(grants(change));
    if differs("role ") {
        all.push(Statement::plain(format!("ALTER USER {name} DEFAULT ROLE {}", quoted(&user.role))));
    }
    all
}

fn quoted_text(text: &str) -> String {
    super::SettingValue::from(text).to_sql()
}

/// SHA-256 of the password in capital hexadecimal digits, as ClickHouse shows it.
pub(super) fn password_hash(user: &User) -> String {
    Sha256::digest(user.password.expose()).iter().map(|byte| format!("{byte:02X}")).collect()
}
