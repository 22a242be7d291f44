//! `floodmark guard proxy`: the proxy that admits queries to ClickHouse.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::said_once;
use crate::cli::{CliError, Globals};
use crate::guard::policy::GuardPolicy;
use crate::guard::proxy::Proxy;
use crate::metrics::Metrics;
use crate::shutdown::Signals;
use crate::telemetry;

/// Arguments of `proxy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Speaks ClickHouse's HTTP interface at proxy.listen of the policy: point clients there instead of at the server. Operators
are answered at proxy.admin_listen (guard status, block, unblock, safe-mode; /metrics). SIGTERM and Ctrl-C stop it once the
queries under way have ended, after 20 s at the latest.

Examples:
  floodmark guard proxy --policy config/guard.toml
  curl http://127.0.0.1:8124/ --data 'SELECT 1'")]
pub struct Args {}

/// Runs until a signal comes.
pub fn run(_: &Args, policy: GuardPolicy, globals: &Globals) -> Result<ExitCode, CliError> {
    telemetry::init(&globals.log, false).map_err(|error| CliError::Usage(error.to_string()))?;
    // Fails only when a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Passing bytes on takes little; fewer threads are fewer switches between them in the way of each query.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(threads).enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut signals = Signals::install().context("cannot take over signals")?;
        let enforces = policy.proxy.enforce;
        let server = policy.server.url.clone();
        let proxy = Proxy::start(policy, Arc::new(Metrics::new())).await;
        let proxy = proxy.map_err(|error| said_once("the proxy cannot start", &error))?;
        tracing::info!(listen = %proxy.listen(), admin = %proxy.admin_listen(), server, enforces, "guarding");
        signals.received().await;
        tracing::info!("stopping: a signal was received");
        signals.exit_on_next();
        proxy.stop().await;
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
