//! Rows of the queries that read a server's access objects and workloads.

use serde::Deserialize;

use super::objects::{Attributes, GRANTED, Kind};

#[derive(Debug, Deserialize)]
pub(super) struct FactsRow {
    pub(super) version: String,
    pub(super) memory_bytes_max: f64,
    pub(super) memory_ratio: f64,
    pub(super) cores: u32,
    pub(super) writable_directories: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct MemoryRow {
    pub(super) memory_limit_bytes: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct NameRow {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ValueRow {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProfileRow {
    pub(super) name: String,
    pub(super) storage: String,
    pub(super) applies_to: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct RoleRow {
    pub(super) name: String,
    pub(super) storage: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct SettingRow {
    pub(super) profile: String,
    pub(super) user: String,
    pub(super) role: String,
    pub(super) setting: Option<String>,
    pub(super) value: Option<String>,
    pub(super) min: Option<String>,
    pub(super) max: Option<String>,
    pub(super) writability: Option<String>,
    pub(super) inherits: Option<String>,
}

impl SettingRow {
    /// Whose setting it is.
    pub(super) fn owner(&self) -> (Kind, &str) {
        if !self.user.is_empty() {
            (Kind::User, &self.user)
        } else if !self.role.is_empty() {
            (Kind::Role, &self.role)
        } else {
            (Kind::Profile, &self.profile)
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct QuotaRow {
    pub(super) name: String,
    pub(super) storage: String,
    pub(super) keyed_by: String,
    pub(super) applies_to: String,
    pub(super) seconds: u32,
    pub(super) queries: Option<String>,
    pub(super) read_bytes: Option<String>,
    pub(super) others: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct UserRow {
    pub(super) name: String,
    pub(super) storage: String,
    pub(super) authentication: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct RoleGrantRow {
    pub(super) user: String,
    pub(super) role: String,
    pub(super) granted: String,
    pub(super) is_default: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResourceRow {
    pub(super) name: String,
    pub(super) unit: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct WorkloadRow {
    pub(super) name: String,
    pub(super) parent: String,
    pub(super) create_query: String,
}

impl WorkloadRow {
    /// `a = 1, b = 2` after the word SETTINGS: no table has them apart.
    pub(super) fn settings(&self) -> Attributes {
        let Some((_, settings)) = self.create_query.split_once(" SETTINGS ") else { return Attributes::new() };
        let pair =
            |text: &str| text.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        settings.split(',').filter_map(pair).collect()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct GrantRow {
    pub(super) role: String,
    pub(super) user: String,
    access: String,
    access_object: String,
    database: Option<String>,
    table: Option<String>,
    column: Option<String>,
    revoked: bool,
    with_grant_option: bool,
    wildcard: bool,
}

impl GrantRow {
    /// `grant SELECT ON shop.*`, in the words of GRANT.
    pub(super) fn attribute(&self) -> String {
        let star = if self.wildcard { "*" } else { "" };
        let name = |name: &Option<String>| name.as_deref().map_or_else(|| "*".to_owned(), quoted);
        let place = match (&self.database, &self.table) {
            _ if !self.access_object.is_empty() => self.access_object.clone(),
            (Some(_), None) if self.wildcard => format!("{}*.*", name(&self.database)),
            _ => format!("{}.{}{star}", name(&self.database), name(&self.table)),
        };
        let column = self.column.as_deref().map_or_else(String::new, |column| format!("({})", quoted(column)));
        let verb = if self.revoked { "revoke" } else { "grant" };
        format!("{verb} {}{column} ON {place}", self.access)
    }

    pub(super) fn value(&self) -> String {
        if self.with_grant_option { "granted with grant option".to_owned() } else { GRANTED.to_owned() }
    }
}

/// A name as SQL takes it.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if is_plain && name != "all" && name != "default" {
        return name.to_owned();
    }
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_told_in_the_words_of_grant() {
        let row = |database: Option<&str>, table: Option<&str>, column: Option<&str>, wildcard| GrantRow {
            role: String::new(),
            user: String::new(),
            access: "SELECT".to_owned(),
            access_object: String::new(),
            database: database.map(str::to_owned),
            table: table.map(str::to_owned),
            column: column.map(str::to_owned),
            revoked: false,
            with_grant_option: false,
            wildcard,
        };
        assert_eq!(row(None, None, None, false).attribute(), "grant SELECT ON *.*");
        assert_eq!(row(Some("shop"), None, None, false).attribute(), "grant SELECT ON shop.*");
        assert_eq!(row(Some("shop"), Some("a-b"), Some("c"), false).attribute(), "grant SELECT(c) ON shop.`a-b`");
        assert_eq!(row(Some("shop"), None, None, true).attribute(), "grant SELECT ON shop*.*");
    }

    #[test]
    fn settings_of_a_workload_are_read_from_its_statement() {
        let create_query = "CREATE WORKLOAD w IN `all` SETTINGS max_concurrent_queries = 5, max_waiting_queries = 4";
        let row = WorkloadRow { name: "w".to_owned(), parent: "all".to_owned(), create_query: create_query.to_owned() };
        let expected = [("max_concurrent_queries", "5"), ("max_waiting_queries", "4")];
        assert_eq!(row.settings(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
