//! The query guard inside the service: the same as `floodmark guard proxy`, with the service's metrics and its end.

use std::sync::Arc;

use anyhow::Context;

use crate::config::GuardConfig;
use crate::guard::policy::{GuardPolicy, check, holes_in_words};
use crate::guard::proxy::{GuardView, Proxy};
use crate::metrics::Metrics;
use crate::shutdown::{Stage, Tasks};

/// Starts the guard, if a policy is configured, and gives a look at it.
///
/// # Errors
/// The policy cannot be used, or an address of it is in use. A ClickHouse that is away is waited for.
pub(super) async fn spawn(
    config: &GuardConfig,
    tasks: &mut Tasks,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Option<GuardView>> {
    let Some(path) = &config.policy else { return Ok(None) };
    let policy = GuardPolicy::load(path)?;
    let holes = check(&policy).holes;
    anyhow::ensure!(holes.is_empty(), "{}: {}", path.display(), holes_in_words(&holes));
    let proxy = Proxy::start(policy, Arc::clone(metrics)).await.context("the query guard cannot start")?;
    tracing::info!(listen = %proxy.listen(), admin = %proxy.admin_listen(), "the query guard is up");
    let view = proxy.view();
    let stop = tasks.token(Stage::Api);
    tasks.spawn(Stage::Api, "guard", async move {
        stop.cancelled().await;
        proxy.stop().await;
        Ok(())
    });
    Ok(Some(view))
}
