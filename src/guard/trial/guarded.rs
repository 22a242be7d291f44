//! The guarded side of a trial: its policy with passwords made at start, and the guard in front of an engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::load::{Access, Account};
use crate::config::{ByteCount, Secret};
use crate::guard::policy::{Desired, GuardPolicy, Hole, ServerFacts, compile};
use crate::guard::proxy::{Proxy, ProxyError};
use crate::local::{Credentials, random_password};
use crate::metrics::Metrics;

/// The trial's policy.
const POLICY: &str = include_str!("policy.toml");

/// The policy of a trial cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrialPolicyError {
    /// It is not one.
    #[error("the trial's policy: {0}")]
    Syntax(#[from] toml::de::Error),
    /// It has holes.
    #[error("the trial's policy has holes: {0:?}")]
    Holes(Vec<Hole>),
    /// No random password could be made.
    #[error("no password can be made: {0}")]
    Random(#[from] std::io::Error),
}

/// A policy for an engine of so much memory.
#[derive(Debug, Clone)]
pub struct TrialPolicy {
    policy: GuardPolicy,
    passwords: BTreeMap<String, Secret>,
}

impl TrialPolicy {
    /// Makes it, with passwords of its own for each tenant.
    ///
    /// # Errors
    /// See [`TrialPolicyError`].
    pub fn new(memory_bytes_max: u64, directory: &Path) -> Result<Self, TrialPolicyError> {
        let mut policy = GuardPolicy::parse(POLICY)?;
        policy.server.memory_bytes_max = Some(ByteCount(bytesize::ByteSize::b(memory_bytes_max)));
        policy.black_box.directory = directory.to_owned();
        let mut passwords = BTreeMap::new();
        for (name, tenant) in &mut policy.tenants {
            let password = Secret::new(random_password()?);
            tenant.password = Some(password.clone());
            passwords.insert(name.clone(), password);
        }
        Ok(Self { policy, passwords })
    }

    /// What an engine is started with.
    ///
    /// # Errors
    /// Holes.
    pub fn compile(&self, memory_bytes_max: u64, cores: u32) -> Result<Desired, TrialPolicyError> {
        let facts = ServerFacts { memory_bytes_max, cores, ..ServerFacts::default() };
        compile(&self.policy, &self.passwords, &facts).map_err(TrialPolicyError::Holes)
    }

    /// Puts the guard in front of the engine at `url`.
    ///
    /// # Errors
    /// See [`ProxyError`].
    pub async fn guard(&self, url: &str, admin: &Credentials) -> Result<(Proxy, Access), ProxyError> {
        let mut policy = self.policy.clone();
        policy.server.url = url.to_owned();
        policy.server.user = admin.user.to_owned();
        policy.server.password = Some(Secret::new(admin.password.clone()));
        let proxy = Proxy::start(policy, Arc::new(Metrics::new())).await?;
        let account = |name: &str| Account {
            user: name.to_owned(),
            password: self.passwords.get(name).map(|password| password.expose().to_owned()).unwrap_or_default(),
        };
        let access = Access {
            url: format!("http://{}", proxy.listen()),
            dashboards: account("dashboards"),
            inserts: account("inserts"),
            reports: account("reports"),
        };
        Ok((proxy, access))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_has_no_holes() {
        let policy = TrialPolicy::new(1_600_000_000, Path::new("guard")).unwrap();
        policy.compile(1_600_000_000, 2).unwrap();
    }
}
