//! `floodmark demo`: the whole service on local engines, fed with a simulated incident, on one terminal.

mod clickhouse_oom;
mod feed;
mod live;
mod proof;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use self::feed::{Feed, Progress};
use self::live::Live;
use self::proof::Proof;
use super::simulate::{Speed, parse_speed};
use super::{CliError, Globals, output::OutputFormat, settings};
use crate::api::View;
use crate::app::{App, StatusClock};
use crate::config::{Config, KafkaConfig};
use crate::ingest::IngestStatus;
use crate::local::broker::DemoBroker;
use crate::model::Output;
use crate::pipeline::Settings;
use crate::shutdown::Signals;
use crate::sim::ScenarioFile;
use crate::telemetry;

/// Partitions of the demo's topics: two cores, and enough to show that order is kept per subscription only.
const REQUESTS_PARTITIONS: i32 = 4;
/// Outputs on their way to the terminal.
const OBSERVER_BOUND: usize = 10_000;
/// After the last event, everything must be stored within this time.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(120);
/// The consumer group must have its partitions by then.
const ASSIGNMENT_TIMEOUT: Duration = Duration::from_secs(60);
/// What is still blocked after the ordered end is left behind after this long.
const LINGER: Duration = Duration::from_secs(2);
/// How often the live view is drawn.
const DRAW_PAUSE: Duration = Duration::from_millis(200);

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts a real ClickHouse and a Kafka broker (fetched by `make engines`; nothing is downloaded now), plays a simulated
incident through Kafka, runs the same service as `run`, and ends with a report of the incident and with counts that prove
that nothing was lost. Its data goes away when it ends.

Examples:
  floodmark demo                          the Kameleo incident, then serve until Ctrl-C
  floodmark demo --exit --speed max       as fast as this machine can
  floodmark demo quiet-day --exit         nothing should page
  floodmark simulate --list               other scenarios
  floodmark demo clickhouse-oom           a release whose queries take ClickHouse down, without the guard and with it")]
pub struct Args {
    /// Name of a built-in scenario, or path of a scenario file
    #[arg(default_value = "kameleo-retry-storm")]
    scenario: String,
    /// End after the report instead of serving until Ctrl-C
    #[arg(long)]
    exit: bool,
    /// Times real time, or max
    #[arg(long, value_name = "N|max", default_value = "100", value_parser = parse_speed)]
    speed: Speed,
    /// Seed [default: the scenario's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How long clickhouse-oom loads ClickHouse with the guard; without it two minutes at most
    #[arg(long, value_name = "TIME", default_value = "1m")]
    duration: humantime::Duration,
    /// Form of the report on stdout
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

/// Runs the demo.
///
/// # Errors
/// Engines that are missing or do not start; a scenario that is none; counts that do not add up.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let mut config = globals.load_config()?;
    let telemetry = || telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    if args.scenario == clickhouse_oom::NAME {
        telemetry()?;
        return Ok(runtime.block_on(clickhouse_oom::run(&config, *args.duration, args.output))?);
    }
    let scenario = ScenarioFile::load(&args.scenario, None)?;
    let settings = settings::load(&config, None)?;
    telemetry()?;
    config.clickhouse.url = None;
    let complete = runtime.block_on(demo(args, &scenario, config, &settings));
    runtime.shutdown_timeout(LINGER);
    Ok(if complete? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn demo(args: &Args, scenario: &ScenarioFile, mut config: Config, settings: &Settings) -> anyhow::Result<bool> {
    let mut signals = Signals::install().context("cannot take over signals")?;
    let directory = temporary_directory(&config)?;
    config.local.data_dir = directory.path().to_owned();
    config.paging.state_dir = None;
    config.notify.state_dir = None;
    config.status.get_or_insert_default().state_dir = None;
    eprintln!("{}: {}", scenario.name(), scenario.title());
    let (broker, kafka) = start_broker(&config, &directory).await?;
    let (observer, mut observed) = mpsc::channel(OBSERVER_BOUND);
    let mut app = start_app(&mut config, &kafka, settings, observer).await?;
    eprintln!("clickhouse and broker {} run; alerts, incidents and metrics: http://{}", broker.address(), app.http());
    if let Some(address) = app.status() {
        eprintln!("what the public reads of it: http://{address}");
    }

    wait_for_assignment(&mut app.ingest()).await?;
    let feed = Feed::start(scenario, args.seed, args.speed, &kafka, &config.flow)?;
    let (view, ingest) = (app.view(), app.ingest());
    let settled = tokio::select! {
        settled = watch(&feed, (view, ingest), scenario, &mut observed) => settled,
        stopped = app.serve(&mut signals) => stopped.map(|()| false),
    };
    let complete = match settled {
        Ok(true) => conclude(args, &feed, &app).await?,
        Ok(false) => false,
        Err(error) => {
            // Children end with us; what went wrong matters more than how they end.
            let _ = app.stop().await;
            return Err(error);
        }
    };
    if complete && !args.exit {
        eprintln!("serving until Ctrl-C: http://{}/api/v1/incidents", app.http());
        eprintln!("ask ClickHouse: {}", app.storage().example_query());
        app.serve(&mut signals).await?;
    }
    signals.exit_on_next();
    feed.stop();
    app.stop().await?;
    drop(broker);
    Ok(complete)
}

/// The demo's data, beside the engines' so that a small /tmp does not matter; removed at the end.
fn temporary_directory(config: &Config) -> anyhow::Result<tempfile::TempDir> {
    let parent = config.local.data_dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(".".as_ref());
    std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    tempfile::Builder::new()
        .prefix("demo-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot create a directory in {}", parent.display()))
}

async fn start_broker(config: &Config, directory: &tempfile::TempDir) -> anyhow::Result<(DemoBroker, KafkaConfig)> {
    let binary = config.local.broker_binary.clone();
    anyhow::ensure!(binary.is_file(), "the demo broker is not at {}; fetch it with `make engines`", binary.display());
    let log = directory.path().join("broker.log");
    let broker = tokio::task::spawn_blocking(move || DemoBroker::start(&binary, &log)).await??;
    let kafka = KafkaConfig {
        brokers: broker.address().to_owned(),
        properties: DemoBroker::client_properties(),
        ..KafkaConfig::default()
    };
    let topics = &kafka.topics;
    let partitions = [
        (topics.requests.as_str(), REQUESTS_PARTITIONS),
        (topics.signals.as_str(), 1),
        (topics.changes.as_str(), 1),
        (topics.dead_letters.as_str(), 1),
    ];
    broker.create_topics(&partitions).await?;
    Ok((broker, kafka))
}

/// Starts the service; when the configured address is taken (another demo, say), on a free one.
async fn start_app(
    config: &mut Config,
    kafka: &KafkaConfig,
    settings: &Settings,
    observer: mpsc::Sender<Output>,
) -> anyhow::Result<App> {
    if tokio::net::TcpListener::bind(config.http.listen).await.is_err() {
        eprintln!("{} is taken; using a free port", config.http.listen);
        config.http.listen.set_port(0);
    }
    if let Some(status) = config.status.as_mut().filter(|status| std::net::TcpListener::bind(status.listen).is_err()) {
        eprintln!("{} is taken; the status page uses a free port", status.listen);
        status.listen.set_port(0);
    }
    App::start(config, Some(kafka), settings, Some(observer), StatusClock::Data).await
}

/// Joining a group takes seconds; the traffic is to be seen from its beginning.
async fn wait_for_assignment(ingest: &mut watch::Receiver<IngestStatus>) -> anyhow::Result<()> {
    let assigned = ingest.wait_for(|status| !status.partitions.is_empty());
    tokio::time::timeout(ASSIGNMENT_TIMEOUT, assigned).await.context("the broker assigned no partition in time")??;
    Ok(())
}

/// Draws until everything fed is stored; `false` when the feed was stopped.
async fn watch(
    feed: &Feed,
    (view, ingest): (watch::Receiver<Arc<View>>, watch::Receiver<IngestStatus>),
    scenario: &ScenarioFile,
    observed: &mut mpsc::Receiver<Output>,
) -> anyhow::Result<bool> {
    let mut live = Live::new(scenario);
    let mut fed_at: Option<tokio::time::Instant> = None;
    loop {
        tokio::select! {
            output = observed.recv() => if let Some(output) = output { live.tell(&output); },
            () = tokio::time::sleep(DRAW_PAUSE) => {}
        }
        let progress = feed.progress();
        live.draw(&progress, &view.borrow(), &ingest.borrow());
        let Progress::Done(done) = progress else { continue };
        let produced = done?;
        if proof::is_settled(&produced, &ingest.borrow()) {
            while let Ok(output) = observed.try_recv() {
                live.tell(&output);
            }
            live.finish();
            return Ok(true);
        }
        let since = *fed_at.get_or_insert_with(tokio::time::Instant::now);
        anyhow::ensure!(
            since.elapsed() < SETTLE_TIMEOUT,
            "not everything was stored {} s after the last event: {}",
            SETTLE_TIMEOUT.as_secs(),
            proof::what_is_missing(&produced, &ingest.borrow())
        );
    }
}

/// Prints the report; whether the counts add up.
async fn conclude(args: &Args, feed: &Feed, app: &App) -> anyhow::Result<bool> {
    let Progress::Done(produced) = feed.progress() else { return Ok(false) };
    let produced = produced?;
    // A snapshot held over an await would stop the thread that publishes the next one.
    let ingest = app.ingest().borrow().clone();
    let proof = Proof::collect(&produced, &ingest, &app.storage().reader()).await?;
    let view = app.view().borrow().clone();
    report::print(&view, &proof, args.output, &mut std::io::stdout().lock())?;
    Ok(proof.adds_up())
}
