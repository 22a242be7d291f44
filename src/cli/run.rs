//! `floodmark run`: the service.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::{CliError, Globals, settings};
use crate::app::{App, StatusClock};
use crate::config::Config;
use crate::pipeline::Settings;
use crate::shutdown::Signals;
use crate::telemetry;

/// What is still blocked after the ordered end is left behind after this long.
const LINGER: Duration = Duration::from_secs(2);

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the topics of [kafka], stores what it reads in ClickHouse, and raises alerts. Records are taken over HTTP too: with
Kafka they go to its topics, without a [kafka] section they are all there is. Without `clickhouse.url` it starts the local
ClickHouse that `make engines` fetched. Alerts go on while ClickHouse is away; /readyz says what is degraded. SIGTERM and
Ctrl-C stop it in order; what was read and not stored is read again at the next start.

Examples:
  floodmark check --config floodmark.toml && floodmark run --config floodmark.toml
  FLOODMARK__KAFKA__BROKERS=broker-1:9092 floodmark run")]
pub struct Args {}

/// Runs until a signal comes.
pub fn run(_: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    if config.kafka.is_none() && !config.http.ingest {
        let problem = "kafka.brokers: no Kafka is configured and http.ingest is false, so nothing would come in";
        return Err(CliError::Config(problem.to_owned()));
    }
    let settings = settings::load(&config, None)?;
    telemetry::init(&globals.log, false).map_err(|error| CliError::Usage(error.to_string()))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let served = runtime.block_on(serve(&config, &settings));
    // A Kafka client that waits for brokers that are gone must not hold up the end.
    runtime.shutdown_timeout(LINGER);
    served?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: &Config, settings: &Settings) -> anyhow::Result<()> {
    let mut signals = Signals::install().context("cannot take over signals")?;
    let kafka = config.kafka.as_ref();
    let mut app = App::start(config, kafka, settings, None, StatusClock::Wall).await?;
    let brokers = kafka.map_or("none: records come over HTTP", |kafka| &kafka.brokers);
    tracing::info!(address = %app.http(), tls = config.http.tls.is_some(), brokers, "serving");
    if let Some(address) = app.status() {
        tracing::info!(%address, "serving the status page");
    }
    let served = app.serve(&mut signals).await;
    signals.exit_on_next();
    let stopped = app.stop().await;
    served.and(stopped)
}
