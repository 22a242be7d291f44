//! One form for what there should be and what there is: objects with attributes as text, which can be compared and shown.

use std::collections::BTreeMap;

use serde::Serialize;

use super::desired::{Desired, PREFIX, Quota, SLOTS_RESOURCE, User, Workload};
use super::setting::Setting;

/// Kinds of objects, in the order in which it is safe to make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A settings profile.
    Profile,
    /// A role.
    Role,
    /// A quota.
    Quota,
    /// A workload.
    Workload,
    /// The resource of slots. After the workloads: once it is there, a query without a workload is refused.
    Resource,
    /// A user. Last: from now on somebody is held by all the others.
    User,
}

impl Kind {
    /// Every kind, in that order.
    pub const ALL: [Self; 6] = [Self::Profile, Self::Role, Self::Quota, Self::Workload, Self::Resource, Self::User];

    /// As SQL and people call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "settings profile",
            Self::Role => "role",
            Self::Quota => "quota",
            Self::Workload => "workload",
            Self::Resource => "resource",
            Self::User => "user",
        }
    }

    /// Whether users.xml can hold it: all but workloads and resources, which are SQL everywhere.
    #[must_use]
    pub fn is_access(self) -> bool {
        !matches!(self, Self::Workload | Self::Resource)
    }
}

/// What is to be said of an object, by name of the attribute.
pub type Attributes = BTreeMap<String, String>;
/// Objects by kind and name.
pub type Objects = BTreeMap<(Kind, String), Attributes>;

/// What a grant, a membership and the like are, apart from being there.
pub(super) const GRANTED: &str = "granted";
/// A password with which the user can come in.
pub(super) const PASSWORD_FITS: &str = "as the policy says";
/// One with which it cannot.
pub(super) const PASSWORD_OTHER: &str = "another";

impl Desired {
    /// As objects. `sql_access`: whether users are made with SQL; quotas are given to roles then, else to users.
    #[must_use]
    pub fn objects(&self, sql_access: bool) -> Objects {
        let mut objects = Objects::new();
        let mut put = |kind: Kind, name: &str, attributes: Attributes| {
            objects.insert((kind, name.to_owned()), attributes);
        };
        for (name, settings) in &self.profiles {
            put(Kind::Profile, name, settings.iter().map(|(name, setting)| (name.clone(), shown(setting))).collect());
        }
        for (name, grants) in &self.roles {
            put(Kind::Role, name, grants.iter().map(|grant| (format!("grant {grant}"), GRANTED.to_owned())).collect());
        }
        for (name, quota) in &self.quotas {
            put(Kind::Quota, name, quota_attributes(quota, sql_access));
        }
        for workload in &self.workloads {
            put(Kind::Workload, &workload.name, workload_attributes(workload));
        }
        if self.slots {
            put(Kind::Resource, SLOTS_RESOURCE, [("unit".to_owned(), "QuerySlot".to_owned())].into());
        }
        for (name, user) in &self.users {
            put(Kind::User, name, user_attributes(user));
        }
        objects
    }
}

/// A setting as a plan shows it.
fn shown(setting: &Setting) -> String {
    use super::setting::Writability;
    let text = |value: &Option<super::SettingValue>| value.as_ref().map(super::SettingValue::as_shown);
    let writability = match setting.writability {
        Writability::Writable => "WRITABLE",
        Writability::Const => "CONST",
        Writability::ChangeableInReadonly => "CHANGEABLE_IN_READONLY",
    };
    setting_shown(text(&setting.value), text(&setting.min), text(&setting.max), writability)
}

/// A setting as a plan shows it, from its parts.
pub(super) fn setting_shown(
    value: Option<String>,
    min: Option<String>,
    max: Option<String>,
    writability: &str,
) -> String {
    let mut parts: Vec<String> = value.into_iter().collect();
    parts.extend(min.map(|min| format!("MIN {min}")));
    parts.extend(max.map(|max| format!("MAX {max}")));
    if writability != "WRITABLE" {
        parts.push(writability.to_owned());
    }
    parts.join(" ")
}

fn quota_attributes(quota: &Quota, sql_access: bool) -> Attributes {
    let limits = [("queries", quota.queries_max), ("read_bytes", quota.read_bytes_max)];
    let limits =
        limits.into_iter().filter_map(|(what, most)| most.map(|most| (format!("{what} in 3600 s"), most.to_string())));
    let holder = if sql_access { &quota.role } else { &quota.user };
    let fixed = [("keyed by".to_owned(), "user_name".to_owned()), ("applies to".to_owned(), holder.clone())];
    limits.chain(fixed).collect()
}

fn workload_attributes(workload: &Workload) -> Attributes {
    let settings = workload.settings.iter().map(|(name, value)| ((*name).to_owned(), value.to_string()));
    settings.chain(workload.parent.iter().map(|parent| ("parent".to_owned(), parent.clone()))).collect()
}

fn user_attributes(user: &User) -> Attributes {
    [
        (format!("role {}", user.role), GRANTED.to_owned()),
        (format!("profile {}", user.profile), GRANTED.to_owned()),
        ("authentication".to_owned(), "sha256_password".to_owned()),
        ("password".to_owned(), PASSWORD_FITS.to_owned()),
    ]
    .into()
}

/// Whether a name is one that the guard gives.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX) || name == super::desired::ROOT_WORKLOAD
}
