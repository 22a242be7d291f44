//! What a server has of the guard's objects, read from its system tables.

use std::collections::{BTreeMap, BTreeSet};

use super::GuardPolicy;
use super::desired::{DEFAULT_WORKLOAD, Desired, PREFIX, ROOT_WORKLOAD, SLOTS_RESOURCE, ServerFacts};
use super::objects::{Attributes, GRANTED, Kind, Objects, PASSWORD_FITS, PASSWORD_OTHER, is_ours, setting_shown};
use super::rows::{
    FactsRow, GrantRow, MemoryRow, NameRow, ProfileRow, QuotaRow, ResourceRow, RoleGrantRow, SettingRow, UserRow,
    ValueRow, WorkloadRow,
};
use crate::guard::sql;
use crate::store::{ClickHouse, Endpoint, StoreError};

/// Where users of `users.xml` are kept.
const USERS_XML: &str = "users_xml";

/// What a server is, apart from the guard's objects.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Server {
    /// ClickHouse's version.
    pub version: String,
    /// What a policy is compiled for.
    pub facts: ServerFacts,
    /// Whether users can be made with SQL. Else they come from `users.xml`.
    pub sql_access: bool,
    /// Settings of the server itself that the guard has an opinion on.
    pub settings: BTreeMap<String, String>,
}

/// The guard's objects on a server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Existing {
    /// Objects of the guard; of users also those of the policy that are not its own.
    pub objects: Objects,
    /// Users of the policy that exist and are somebody else's.
    pub foreign_users: BTreeSet<String>,
    /// Objects that come from `users.xml`, and cannot be changed with SQL.
    pub from_users_xml: BTreeSet<(Kind, String)>,
    /// Quotas of others whose key the client chooses, and to whom they apply.
    pub client_keyed_quotas: BTreeMap<String, String>,
}

/// Reads what a policy is compiled for. A limit in the policy comes before the server's.
///
/// # Errors
/// The server does not answer, or the user may not read its system tables.
pub async fn read_server(clickhouse: &ClickHouse, policy: &GuardPolicy) -> Result<Server, StoreError> {
    let nothing = || StoreError::Protocol("no row of facts".to_owned());
    let facts: FactsRow = clickhouse.fetch(sql::POLICY_FACTS, &[]).await?.pop().ok_or_else(nothing)?;
    let memory_bytes_max = match policy.server.memory_bytes_max {
        Some(bytes) => bytes.0.as_u64(),
        None if facts.memory_bytes_max > 0.0 => facts.memory_bytes_max as u64,
        None => {
            let machine: Option<MemoryRow> = clickhouse.fetch(sql::MEMORY_TOTAL, &[]).await?.pop();
            let ratio = if facts.memory_ratio > 0.0 { facts.memory_ratio } else { 1.0 };
            (machine.map_or(0.0, |machine| machine.memory_limit_bytes) * ratio) as u64
        }
    };
    let settings: Vec<NameRow> = clickhouse.fetch(sql::POLICY_SETTINGS, &[]).await?;
    let values: Vec<ValueRow> = clickhouse.fetch(sql::POLICY_SERVER_SETTINGS, &[]).await?;
    let workloads: Vec<WorkloadRow> = clickhouse.fetch(sql::POLICY_WORKLOADS, &[]).await?;
    let resources: Vec<ResourceRow> = clickhouse.fetch(sql::POLICY_RESOURCES, &[]).await?;
    let foreign_root = workloads.iter().find(|w| w.parent.is_empty() && !is_ours(&w.name)).map(|w| w.name.clone());
    let facts_of_policy = ServerFacts {
        memory_bytes_max,
        cores: facts.cores.max(1),
        settings: Some(settings.into_iter().map(|row| row.name).collect()),
        foreign_root,
        foreign_default: workloads.iter().any(|w| w.name == DEFAULT_WORKLOAD && w.parent != ROOT_WORKLOAD),
        foreign_slots: resources.iter().any(|r| r.unit == "QuerySlot" && r.name != SLOTS_RESOURCE),
    };
    Ok(Server {
        version: facts.version,
        facts: facts_of_policy,
        sql_access: facts.writable_directories > 0,
        settings: values.into_iter().map(|row| (row.name, row.value)).collect(),
    })
}

/// Reads the guard's objects, and the users of the policy. Passwords are tried out, because no table shows them.
///
/// # Errors
/// As [`read_server`].
pub async fn read_existing(
    clickhouse: &ClickHouse,
    endpoint: &Endpoint,
    desired: &Desired,
) -> Result<Existing, StoreError> {
    let mut existing = Existing::default();
    let users = desired.users.keys().cloned().collect::<Vec<_>>().join(",");
    let parameters = [("prefix", PREFIX), ("users", users.as_str())];
    let prefix = &parameters[..1];

    let profiles = clickhouse.fetch(sql::POLICY_PROFILES, prefix).await?;
    let settings = clickhouse.fetch(sql::POLICY_PROFILE_SETTINGS, &parameters).await?;
    let roles = clickhouse.fetch(sql::POLICY_ROLES, prefix).await?;
    let grants = clickhouse.fetch(sql::POLICY_GRANTS, &parameters).await?;
    let role_grants = clickhouse.fetch(sql::POLICY_ROLE_GRANTS, &parameters).await?;
    let quotas = clickhouse.fetch(sql::POLICY_QUOTAS, prefix).await?;
    let user_rows = clickhouse.fetch(sql::POLICY_USERS, &parameters[1..]).await?;
    existing.take_profiles(profiles);
    existing.take_roles(roles);
    existing.take_quotas(quotas);
    existing.take_users(user_rows, &settings, &role_grants);
    existing.take_settings(settings);
    existing.take_grants(grants);
    existing.take_role_grants(role_grants);
    existing.take_workloads(clickhouse.fetch(sql::POLICY_WORKLOADS, &[]).await?);
    existing.take_resources(clickhouse.fetch(sql::POLICY_RESOURCES, &[]).await?);
    existing.try_passwords(endpoint, desired).await?;
    Ok(existing)
}

impl Existing {
    fn object(&mut self, kind: Kind, name: &str) -> Option<&mut Attributes> {
        self.objects.get_mut(&(kind, name.to_owned()))
    }

    fn add(&mut self, kind: Kind, name: String, storage: &str) -> &mut Attributes {
        if storage == USERS_XML {
            self.from_users_xml.insert((kind, name.clone()));
        }
        self.objects.entry((kind, name)).or_default()
    }

    fn take_profiles(&mut self, rows: Vec<ProfileRow>) {
        for row in rows {
            let profile = self.add(Kind::Profile, row.name, &row.storage);
            if !row.applies_to.is_empty() {
                profile.insert("applies to".to_owned(), row.applies_to);
            }
        }
    }

    fn take_roles(&mut self, rows: Vec<super::rows::RoleRow>) {
        for row in rows {
            self.add(Kind::Role, row.name, &row.storage);
        }
    }

    fn take_quotas(&mut self, rows: Vec<QuotaRow>) {
        for row in rows {
            if !is_ours(&row.name) {
                self.client_keyed_quotas.insert(row.name, row.applies_to);
                continue;
            }
            let seconds = row.seconds;
            let quota = self.add(Kind::Quota, row.name, &row.storage);
            quota.insert("keyed by".to_owned(), row.keyed_by);
            quota.insert("applies to".to_owned(), row.applies_to);
            let others = Some(row.others).filter(|others| others.chars().any(|c| c.is_ascii_digit()));
            for (what, most) in [("queries", row.queries), ("read_bytes", row.read_bytes), ("others", others)] {
                if let Some(most) = most {
                    quota.insert(format!("{what} in {seconds} s"), most);
                }
            }
        }
    }

    /// A user is the guard's when it has a role or a profile of the guard: names of users are the tenants' own.
    fn take_users(&mut self, rows: Vec<UserRow>, settings: &[SettingRow], role_grants: &[RoleGrantRow]) {
        let by_profile =
            settings.iter().filter(|row| row.inherits.as_deref().is_some_and(is_ours)).map(|row| &row.user);
        let by_role = role_grants.iter().filter(|row| is_ours(&row.granted)).map(|row| &row.user);
        let ours: BTreeSet<&String> = by_profile.chain(by_role).filter(|user| !user.is_empty()).collect();
        for user in &ours {
            self.add(Kind::User, (*user).clone(), "");
        }
        for row in rows {
            if !ours.contains(&row.name) {
                self.foreign_users.insert(row.name.clone());
            }
            let user = self.add(Kind::User, row.name, &row.storage);
            user.insert("authentication".to_owned(), row.authentication);
        }
    }

    fn take_settings(&mut self, rows: Vec<SettingRow>) {
        for row in rows {
            let (kind, name) = row.owner();
            let Some(owner) = self.object(kind, name) else { continue };
            if let Some(inherited) = row.inherits {
                owner.insert(format!("profile {inherited}"), GRANTED.to_owned());
            }
            if let Some(setting) = row.setting {
                let name = if kind == Kind::Profile { setting } else { format!("setting {setting}") };
                let shown =
                    setting_shown(row.value, row.min, row.max, row.writability.as_deref().unwrap_or("WRITABLE"));
                owner.insert(name, shown);
            }
        }
    }

    fn take_grants(&mut self, rows: Vec<GrantRow>) {
        for row in rows {
            let (attribute, value) = (row.attribute(), row.value());
            let owner = match row.user.is_empty() {
                true => self.object(Kind::Role, &row.role),
                false => self.object(Kind::User, &row.user),
            };
            if let Some(owner) = owner {
                owner.insert(attribute, value);
            }
        }
    }

    fn take_role_grants(&mut self, rows: Vec<RoleGrantRow>) {
        for row in rows {
            let owner = match row.user.is_empty() {
                true => self.object(Kind::Role, &row.role),
                false => self.object(Kind::User, &row.user),
            };
            if let Some(owner) = owner {
                let value = if row.is_default { GRANTED } else { "granted, not by default" };
                owner.insert(format!("role {}", row.granted), value.to_owned());
            }
        }
    }

    fn take_workloads(&mut self, rows: Vec<WorkloadRow>) {
        for row in rows {
            let is_default = row.name == DEFAULT_WORKLOAD && row.parent == ROOT_WORKLOAD;
            if !is_ours(&row.name) && !is_default {
                continue;
            }
            let mut attributes = row.settings();
            if !row.parent.is_empty() {
                attributes.insert("parent".to_owned(), row.parent);
            }
            self.objects.insert((Kind::Workload, row.name), attributes);
        }
    }

    fn take_resources(&mut self, rows: Vec<ResourceRow>) {
        for row in rows.into_iter().filter(|row| is_ours(&row.name)) {
            self.objects.insert((Kind::Resource, row.name), [("unit".to_owned(), row.unit)].into());
        }
    }

    async fn try_passwords(&mut self, endpoint: &Endpoint, desired: &Desired) -> Result<(), StoreError> {
        for (name, user) in &desired.users {
            let Some(attributes) = self.object(Kind::User, name) else { continue };
            let as_user = Endpoint { user: name.clone(), password: user.password.clone(), ..endpoint.clone() };
            let fits = match ClickHouse::new(&as_user).execute("SELECT 1").await {
                Err(error) if error.code() == "authentication_failed" => false,
                Err(error @ (StoreError::Unreachable(_) | StoreError::TimedOut(_))) => return Err(error),
                // Whatever else is refused, a full queue or a used-up quota, is refused to somebody who came in.
                Ok(()) | Err(_) => true,
            };
            let shown = if fits { PASSWORD_FITS } else { PASSWORD_OTHER };
            attributes.insert("password".to_owned(), shown.to_owned());
        }
        Ok(())
    }
}
