//! The service: connects ingest, detection, storage, notification and HTTP, and stops them in order.
//!
//! `run` and `demo` start exactly this. Nothing here decides anything about alerts: that is `pipeline`.

mod detection;
mod guard;
mod intake;
mod observe;
mod open_reports;
mod paging;
mod probes;
mod reload;
mod rule_files;
mod rule_queries;
pub mod status;
mod storage;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::alert::notify::{self, Inlets, Notifier, Pace, Surroundings, event_stream};
use crate::api::{
    self, ApiState, Component, ComponentStatus, ConsoleSettings, EventReaders, Health, IngestState, LimitsState,
    PagingState, Tokens, View,
};
use crate::clock;
use crate::config::{Config, KafkaConfig, TopicsConfig};
use crate::ingest::{IngestStatus, KafkaIngest, Lanes, StorageLanes};
use crate::listener::tls_acceptor;
use crate::metrics::Metrics;
use crate::model::Output;
use crate::pipeline::Settings;
use crate::shutdown::{Signals, Stage, Tasks};
use detection::{Detection, Outlets};
pub use rule_files::{RuleFilesError, limits, objectives, read_rules, rules};
pub use status::StatusClock;
pub use storage::Storage;

/// Inputs waiting for detection, over all partitions. Reading waits at the bound: detection sets the pace.
const DETECT_BOUND: usize = 64;
/// Ranges that storage has written and ingest has not yet heard of.
const STORED_BOUND: usize = 256;
/// Outputs waiting for ClickHouse. At the bound further ones are left out of the table and counted; alerts still go out.
const OUTPUTS_BOUND: usize = 10_000;
/// Partitions whose storage is being planned, with a broker that cannot tell where it was. At the bound further ones ask
/// a little later.
const PLANS_BOUND: usize = 256;

/// The running service.
#[derive(Debug)]
pub struct App {
    tasks: Tasks,
    http: SocketAddr,
    status: Option<SocketAddr>,
    view: watch::Receiver<Arc<View>>,
    ingest: watch::Receiver<IngestStatus>,
    storage: Storage,
}

impl App {
    /// Starts everything. Without `kafka` records come over HTTP only. `observer` hears every output of detection (the
    /// demo's live view); when it is full, it misses some.
    ///
    /// # Errors
    /// What cannot be mended by waiting: an address in use, a local engine that is missing, a schema that is newer.
    /// Brokers and servers that are merely away are waited for.
    pub async fn start(
        config: &Config,
        kafka: Option<&KafkaConfig>,
        settings: &Settings,
        observer: Option<mpsc::Sender<Output>>,
        status_clock: StatusClock,
    ) -> anyhow::Result<Self> {
        let hangups = reload::hangups().context("cannot take over SIGHUP")?;
        let metrics = Arc::new(Metrics::new());
        let health = Arc::new(Health::new(clock::now()));
        let mut tasks = Tasks::new();
        let listener = TcpListener::bind(config.http.listen)
            .await
            .with_context(|| format!("cannot listen on {} (http.listen)", config.http.listen))?;
        let http = listener.local_addr()?;
        let tls = config.http.tls.as_ref().map(|tls| tls_acceptor("http.tls", tls)).transpose()?;
        let storage = Storage::start(config, &mut tasks, &metrics).await?;

        let (view_sender, view) = watch::channel(Arc::new(View::default()));

        let (rules_in_force, rules) = watch::channel(Arc::new(settings.rules.clone()));
        let (pages, transitions) = mpsc::channel(notify::CHANNEL_BOUND);
        let (told, pages_of_incidents) = mpsc::channel(paging::PAGES_BOUND);
        let (news, public_news) = mpsc::channel(notify::CHANNEL_BOUND);
        let (stream, events) = event_stream(clock::now());
        let state_dir = config.notify_state_dir();
        let surroundings = Surroundings {
            pace: Pace { retry_for: config.notify.give_up_after.0, ..Pace::default() },
            metrics: &metrics,
            health: &health,
            rules: rules.clone(),
            kafka,
            state_dir: Some(&state_dir),
            view: Some(view.clone()),
            stream: Some(stream),
            subscribers: config.status.as_ref().map_or(&[], |status| &status.subscribers),
        };
        let notifier = Notifier::new(&config.notify, surroundings)?;
        let stop = tasks.token(Stage::Notify);
        tasks.spawn(Stage::Notify, "notifier", async move {
            let inlets = Inlets { transitions, pages: pages_of_incidents, news: public_news };
            notifier.run(inlets, stop).await;
            Ok(())
        });

        let (batches, batches_receiver) = mpsc::channel(config.store.batches_waiting_max);
        let (outputs, outputs_receiver) = mpsc::channel(OUTPUTS_BOUND);
        let (records, records_receiver) = mpsc::channel(paging::RECORDS_BOUND);
        let paging_outlets = paging::Outlets { pages: told, records };
        let pager = paging::spawn(config, rules.clone(), paging_outlets, &mut tasks, &metrics, &health)?;
        let (stored, stored_receiver) = mpsc::channel(STORED_BOUND);
        let (inputs, inputs_receiver) = mpsc::channel(DETECT_BOUND);
        let queues =
            observe::Queues { inputs: inputs.downgrade(), batches: batches.downgrade(), outputs: outputs.downgrade() };
        let (plan_requests, plan_requests_receiver) = mpsc::channel(PLANS_BOUND);
        let (plans, plans_receiver) = mpsc::channel(PLANS_BOUND);
        let (takeover, takeover_receiver) = oneshot::channel();
        let queues_of_storage = storage::Queues {
            batches: batches_receiver,
            outputs: outputs_receiver,
            records: records_receiver,
            stored,
            plan_requests: plan_requests_receiver,
            plans,
            takeover: takeover_receiver,
        };
        storage.spawn_writers(config, &mut tasks, queues_of_storage, &metrics, &health);

        let (decisions, metrics_of_detection) = (pager.decisions, Arc::clone(&metrics));
        let around =
            status::Around { tasks: &mut tasks, metrics: &metrics, health: &health, news, clock: status_clock };
        let status = config.status.as_ref().map(|status| status::spawn(config, status, around)).transpose()?;
        if status.is_none() {
            health.set(Component::Status, ComponentStatus::Off, "no [status] section", clock::now());
        }
        let outlets = Outlets {
            pages,
            status: status.as_ref().map(|status| status.notes.clone()),
            store: outputs,
            takeover: Some(takeover),
            paging: decisions,
            view: view_sender,
            observer,
            metrics: metrics_of_detection,
        };
        let topics = kafka.map_or_else(TopicsConfig::default, |kafka| kafka.topics.clone());
        let detection = Detection::new(settings, &topics, config.status.as_ref(), outlets);
        let (replacements, replacements_receiver) = mpsc::channel(1);
        let wires = (hangups, replacements, rules_in_force);
        let reload = reload::spawn(&config.detect, wires, &mut tasks, &metrics, &health);
        let detection_health = Arc::clone(&health);
        tasks.spawn(Stage::Detect, "detection", async move {
            detection.run(inputs_receiver, replacements_receiver, &detection_health).await;
            Ok(())
        });

        let (intake, ingest) = match kafka {
            Some(kafka) => {
                let (detect, store, stored) = (inputs, batches, stored_receiver);
                let lanes = Lanes { detect, store, stored, plan_requests, plans: plans_receiver };
                let reader = KafkaIngest::start(kafka, &config.decode, &config.store, lanes, storage::DRAIN_TIMEOUT)?;
                let ingest = reader.status();
                observe::spawn_ingest(&mut tasks, reader, kafka, queues, &metrics, &health);
                (intake::into_kafka(config, kafka, &mut tasks, &metrics, &health)?, ingest)
            }
            None => {
                let off = "no [kafka] section: records come over HTTP";
                health.set(Component::Kafka, ComponentStatus::Off, off, clock::now());
                // What is not Kafka has no plan: a range that is not stored is sent again by who was not answered.
                drop((plan_requests, plans_receiver));
                let lanes = StorageLanes { detect: inputs, store: batches, stored: stored_receiver };
                let intake = intake::into_storage(config, lanes, queues, &mut tasks, &metrics, &health)?;
                (intake, watch::channel(IngestStatus::default()).1)
            }
        };

        let guard_view = guard::spawn(&config.guard, &mut tasks, &metrics).await?;
        probes::spawn(&config.probes, intake.clone(), &mut tasks, &metrics, &health)?;
        rule_queries::spawn(&storage, rules, intake.clone(), &mut tasks, &metrics, &health);
        let ingest_state =
            config.http.ingest.then(|| IngestState::new(intake.clone(), &config.http, &config.decode, metrics.clone()));
        let state = ApiState {
            view: view.clone(),
            readiness: health.subscribe(),
            metrics: Arc::clone(&metrics),
            tokens: Tokens::new(&config.http.tokens).with_host_names(&config.http.host_names),
            ingest: ingest_state,
            reload: Some(reload),
            paging: Some(PagingState { view: pager.view, requests: pager.requests, history: storage.reader() }),
            events: Some(EventReaders::new(events)),
            console: ConsoleSettings { is_tls: tls.is_some(), guard: guard_view },
            queries: Some(storage.desk(config, &metrics)),
            limits: Some(LimitsState { history: storage.reader() }),
            status: status.as_ref().map(|status| status.routes.clone()),
        };
        let stop = tasks.token(Stage::Api);
        tasks.spawn(Stage::Api, "http", async move { Ok(api::serve(listener, api::router(state), tls, stop).await?) });
        Ok(Self { tasks, http, status: status.map(|status| status.address), view, ingest, storage })
    }

    /// Address of the HTTP server.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Address of the status page, where there is one.
    #[must_use]
    pub fn status(&self) -> Option<SocketAddr> {
        self.status
    }

    /// What detection shows.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// What ingest does.
    #[must_use]
    pub fn ingest(&self) -> watch::Receiver<IngestStatus> {
        self.ingest.clone()
    }

    /// Where rows go.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Serves until a signal comes, or a task fails.
    ///
    /// # Errors
    /// The task that failed.
    pub async fn serve(&mut self, signals: &mut Signals) -> anyhow::Result<()> {
        tokio::select! {
            () = signals.received() => {
                tracing::info!("stopping: a signal was received");
                Ok(())
            }
            ended = self.tasks.next_ended() => {
                let failure = ended.result.err().map_or_else(|| "ended by itself".to_owned(), |e| e.to_string());
                anyhow::bail!("{} {}: {failure}", ended.stage.as_str(), ended.task)
            }
        }
    }

    /// Stops everything, in order: reading, detection, storage, notification, HTTP, engines.
    ///
    /// # Errors
    /// What did not end well; nothing acknowledged is lost by it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let failures = self.tasks.stop().await;
        for failure in &failures {
            if let Err(error) = &failure.result {
                tracing::error!(stage = failure.stage.as_str(), task = failure.task, error = %error, "did not end well");
            }
        }
        anyhow::ensure!(failures.is_empty(), "{} tasks did not end well (see the log)", failures.len());
        Ok(())
    }
}
