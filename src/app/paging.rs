//! The task that owns the pager: decisions of detection and requests of people in, pages out, each written down first.

mod journal;
mod keeper;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior};

use crate::alert::Rules;
use crate::alert::paging::{Decided, Obeyed, PageChange, Pager, PagerSettings, PagerView, Silence, SilenceChange};
use crate::api::{Component, ComponentStatus, Health, PagingRequest, View};
use crate::clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::model::{IncidentReport, Output, Page, PageRecord, PagingRecord, SilenceRecord};
use crate::shutdown::{Stage, Tasks};
use journal::Journal;
use keeper::Keeper;

/// Decisions on their way to the pager. It takes them at once; a disk that hangs holds one up for 2 s.
const DECISIONS_BOUND: usize = 1_024;
/// Requests of people that wait; at the bound they wait in the HTTP server.
const REQUESTS_BOUND: usize = 64;
/// Pages on their way to receivers, which take them at once.
pub(super) const PAGES_BOUND: usize = 1_024;
/// Pages and silences waiting for ClickHouse. At the bound further ones are left out of it and counted; they are told all
/// the same.
pub(super) const RECORDS_BOUND: usize = 10_000;
/// Silences and acknowledgements end to the second.
const TICK: Duration = Duration::from_secs(1);

/// What detection has decided at once.
#[derive(Debug)]
pub(super) struct Decision {
    /// In order; a window's outputs are together.
    pub outputs: Vec<Output>,
    /// What is open after them.
    pub view: Arc<View>,
}

/// How to reach the pager.
#[derive(Debug)]
pub(super) struct Paging {
    /// For detection.
    pub decisions: mpsc::Sender<Decision>,
    /// For people.
    pub requests: mpsc::Sender<PagingRequest>,
    /// What there is.
    pub view: watch::Receiver<Arc<PagerView>>,
}

/// Where pages go.
#[derive(Debug)]
pub(super) struct Outlets {
    /// To receivers. After a restart pages of the last seconds come again, with the same key and revision.
    pub pages: mpsc::Sender<Arc<Page>>,
    /// To ClickHouse.
    pub records: mpsc::Sender<PagingRecord>,
}

struct Task {
    pager: Pager,
    rules: watch::Receiver<Arc<Rules>>,
    keeper: Keeper,
    outlets: Outlets,
    view: watch::Sender<Arc<PagerView>>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

/// Starts the pager with what it remembers.
pub(super) fn spawn(
    config: &Config,
    rules: watch::Receiver<Arc<Rules>>,
    outlets: Outlets,
    tasks: &mut Tasks,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) -> anyhow::Result<Paging> {
    let (journal, restored) = Journal::open(&config.paging_state_dir()).context("cannot remember pages")?;
    if restored.lost_entries > 0 {
        tracing::error!(
            bytes = restored.cut_bytes,
            steps = restored.entries,
            steps_lost = restored.lost_entries,
            "the journal of pages was damaged in its middle: what the steps behind it said of pages and acknowledgements is \
             forgotten; a copy of it is pages.journal.damaged"
        );
    } else if restored.cut_bytes > 0 {
        tracing::warn!(
            bytes = restored.cut_bytes,
            steps = restored.entries,
            "the journal of pages was damaged at its end, as a crash does; the damaged part is cut off"
        );
    }
    let pager = Pager::restored(PagerSettings::new(&config.paging, &rules.borrow()), restored.state, clock::now());
    let (view_sender, view) = watch::channel(Arc::new(pager.view(clock::now())));
    let (decisions, decisions_receiver) = mpsc::channel(DECISIONS_BOUND);
    let (requests, requests_receiver) = mpsc::channel(REQUESTS_BOUND);
    let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
    let task = Task { pager, rules, keeper: Keeper::new(journal), outlets, view: view_sender, metrics, health };
    // It ends with detection: what was decided last is told.
    tasks.spawn(Stage::Detect, "paging", async move {
        task.run(decisions_receiver, requests_receiver).await;
        Ok(())
    });
    Ok(Paging { decisions, requests, view })
}

impl Task {
    async fn run(mut self, mut decisions: mpsc::Receiver<Decision>, mut requests: mpsc::Receiver<PagingRequest>) {
        self.tell_again().await;
        let mut ticks = ticks();
        loop {
            tokio::select! {
                biased;
                decision = decisions.recv() => match decision {
                    Some(decision) => self.decide(&decision).await,
                    None => return,
                },
                Some(request) = requests.recv() => self.obey(request).await,
                _ = ticks.tick() => {
                    let Obeyed { pages, silences } = self.pager.tick(clock::now());
                    self.conclude(pages, silences).await;
                }
            }
        }
    }

    /// What was said in the last seconds before the end may not have reached anybody.
    async fn tell_again(&mut self) {
        self.health.set(Component::Paging, ComponentStatus::Ok, "", clock::now());
        let pages: Vec<Arc<Page>> = self.pager.unhanded().cloned().map(Arc::new).collect();
        for page in pages {
            tracing::info!(key = %page.dedup_key, revision = page.revision, "page handed to receivers again");
            // They are gone only when the service stops.
            let _ = self.outlets.pages.send(page).await;
        }
        self.publish();
    }

    async fn decide(&mut self, decision: &Decision) {
        let Decision { outputs, view } = decision;
        if self.rules.has_changed().unwrap_or(false) {
            let rules = Arc::clone(&self.rules.borrow_and_update());
            self.pager.set_rules(&rules);
        }
        let now = clock::now();
        let reports: Vec<&IncidentReport> = view.incidents_open_reports().collect();
        let changes = self.pager.step(&Decided { outputs, watermark: view.watermark, reports: &reports }, now);
        self.conclude(changes, Vec::new()).await;
    }

    async fn obey(&mut self, request: PagingRequest) {
        let PagingRequest { command, answer } = request;
        match self.pager.command(command, clock::now()) {
            Ok(Obeyed { pages, silences }) => {
                let made: Option<Silence> = silences.first().map(|change| change.silence.clone());
                self.conclude(pages, silences).await;
                // Whoever asked may have gone.
                let _ = answer.send(Ok(made));
            }
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    /// Writes down, then tells.
    async fn conclude(&mut self, changes: Vec<PageChange>, silences: Vec<SilenceChange>) {
        let kept = self.keeper.keep(&mut self.pager).await;
        if kept == Ok(false) && changes.is_empty() {
            return;
        }
        match kept {
            Ok(_) => self.health.set(Component::Paging, ComponentStatus::Ok, "", clock::now()),
            Err(error) => {
                let detail = format!("pages are told and not remembered: {error}");
                self.health.set(Component::Paging, ComponentStatus::Degraded, &detail, clock::now());
                self.metrics.add_journal_failure();
            }
        }
        for change in silences {
            let (id, author) = (change.silence.id.as_str(), change.silence.author.as_str());
            tracing::info!(id, author, event = change.event.as_str(), reason = change.silence.reason, "silence");
            self.record(PagingRecord::Silence(silence_record(change)));
        }
        for change in changes {
            log(&change);
            let page = Arc::new(change.page.clone());
            let is_silenced = change.silenced_by.is_some();
            self.record(PagingRecord::Page(Box::new(page_record(change))));
            if !is_silenced {
                let _ = self.outlets.pages.send(page).await;
            }
        }
        self.publish();
    }

    fn record(&self, record: PagingRecord) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outlets.records.try_send(record) {
            self.metrics.add_outputs_not_stored(1);
        }
    }

    fn publish(&self) {
        let view = self.pager.view(clock::now());
        self.metrics.set_pages(&self.pager.counts(), &view);
        self.view.send_replace(Arc::new(view));
    }
}

fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn log(change: &PageChange) {
    let PageChange { page, reason, silenced_by, .. } = change;
    let (key, revision, event) = (page.dedup_key.as_str(), page.revision, change.event_name());
    let (title, impact, reason) = (page.title.as_str(), page.impact.as_str(), reason.as_str());
    match silenced_by {
        Some(silence) => tracing::info!(key, revision, event, title, %silence, reason, "page silenced"),
        None => tracing::warn!(key, revision, event, title, impact, reason, "page"),
    }
}

fn page_record(change: PageChange) -> PageRecord {
    let PageChange { page, reason, silenced_by, note } = change;
    let silenced_by = silenced_by.unwrap_or_default();
    PageRecord { page, reason: reason.as_str().into(), silenced_by, note, said_at: clock::now() }
}

fn silence_record(change: SilenceChange) -> SilenceRecord {
    let SilenceChange { silence, event, at } = change;
    let Silence { id, matchers, starts_at, ends_at, author, reason, .. } = silence;
    let matchers = matchers.iter().map(ToString::to_string).collect();
    SilenceRecord { id, event, at, matchers, starts_at, ends_at, author, reason }
}
