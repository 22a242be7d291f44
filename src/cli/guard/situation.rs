//! What `plan`, `apply` and `drift` begin with: the policy without holes, the server, and what differs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::cli::CliError;
use crate::config::Secret;
use crate::guard::policy::{
    Desired, GuardPolicy, Hole, Plan, PlanOptions, Server, ServerFacts, advise, check, compile, holes_in_words, plan,
    read_existing, read_server,
};
use crate::store::{ClickHouse, Endpoint};

/// A statement without an answer for this long has failed: each is small.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A policy without holes, as far as they can be seen without a server.
pub(super) struct Usable {
    pub(super) policy: GuardPolicy,
    passwords: BTreeMap<String, Secret>,
}

/// Reads a policy and refuses it with all its holes.
pub(super) fn usable(path: &Path) -> Result<Usable, CliError> {
    let policy = GuardPolicy::load(path).map_err(|error| CliError::Config(error.to_string()))?;
    let mut holes = check(&policy).holes;
    let passwords = policy.passwords().unwrap_or_else(|more| {
        holes.extend(more);
        BTreeMap::new()
    });
    if holes.is_empty() { Ok(Usable { policy, passwords }) } else { Err(refused(path, &holes)) }
}

/// Reads a policy that is to be kept to, and refuses it with its holes. Passwords of tenants are not needed for that.
pub(super) fn without_holes(path: &Path) -> Result<GuardPolicy, CliError> {
    let policy = GuardPolicy::load(path).map_err(|error| CliError::Config(error.to_string()))?;
    let holes = check(&policy).holes;
    if holes.is_empty() { Ok(policy) } else { Err(refused(path, &holes)) }
}

fn refused(path: &Path, holes: &[Hole]) -> CliError {
    CliError::Config(format!("{}: {}", path.display(), holes_in_words(holes)))
}

/// A policy beside the server that it is for.
pub(super) struct Situation {
    pub(super) policy: GuardPolicy,
    pub(super) clickhouse: ClickHouse,
    pub(super) endpoint: Endpoint,
    pub(super) server: Server,
    pub(super) desired: Desired,
    pub(super) options: PlanOptions,
    pub(super) plan: Plan,
}

/// Compiles for `facts`.
pub(super) fn compiled(path: &Path, usable: &Usable, facts: &ServerFacts) -> Result<Desired, CliError> {
    if facts.memory_bytes_max == 0 {
        let message = "server.memory_bytes_max: the server does not say how much memory it may take: write it";
        return Err(CliError::Config(message.to_owned()));
    }
    compile(&usable.policy, &usable.passwords, facts).map_err(|holes| refused(path, &holes))
}

/// Looks at the server.
pub(super) async fn look(path: &Path, adopt: bool) -> Result<Situation, CliError> {
    let usable = usable(path)?;
    let endpoint = usable.policy.endpoint(ANSWER_TIMEOUT);
    let endpoint = endpoint.map_err(|error| CliError::Config(error.to_string()))?;
    let clickhouse = ClickHouse::new(&endpoint);
    let server = read_server(&clickhouse, &usable.policy).await;
    let server = server.with_context(|| format!("cannot look at {}", endpoint.url))?;
    let desired = compiled(path, &usable, &server.facts)?;
    let options = PlanOptions { sql_access: server.sql_access, adopt };
    let mut situation = Situation {
        policy: usable.policy,
        clickhouse,
        endpoint,
        server,
        desired,
        options,
        plan: Plan { changes: Vec::new(), warnings: Vec::new(), advice: Vec::new() },
    };
    situation.compare().await?;
    Ok(situation)
}

impl Situation {
    /// Looks again, and plans anew.
    pub(super) async fn compare(&mut self) -> anyhow::Result<()> {
        let existing = read_existing(&self.clickhouse, &self.endpoint, &self.desired).await;
        let existing = existing.with_context(|| format!("cannot look at {}", self.endpoint.url))?;
        let advice = advise(&self.policy, &self.desired, &self.server, &existing);
        self.plan = plan(&self.desired, &existing, advice, self.options);
        Ok(())
    }
}

/// Runs to its end what asks a server.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_with_holes_is_not_kept_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guard.toml");
        std::fs::write(&path, include_str!("../../../config/guard.toml")).unwrap();
        without_holes(&path).unwrap();
        let text = include_str!("../../../config/guard.toml").replace("enforce = false", "enforce = true");
        std::fs::write(&path, format!("{text}\n[tenants.a]\nclass = \"none\"\n")).unwrap();
        assert!(matches!(without_holes(&path), Err(CliError::Config(text)) if text.contains("there is no class")));
    }
}
