//! Telling the world: pages and transitions to receivers. Part of the shell, not of the pure core.
//!
//! One task owns every receiver's state; only the tries to deliver run beside it, at most one a receiver. So a slow
//! receiver holds up neither the others nor detection, and messages of one receiver stay in order. Failures are repeated
//! with exponential back-off; what is waiting is bounded, kept on disk, and what is not delivered is counted by reason.

mod alertmanager;
mod book;
mod dead_letters;
mod delivery;
mod heartbeat;
mod journal;
mod kafka;
mod keeper;
mod moment;
mod notice;
mod outbox;
mod pace;
mod receiver;
mod render;
mod routes;
pub mod sample;
mod setup;
mod signature;
mod storage;
mod stream;
mod told;
mod trial;

pub use dead_letters::{DeadLetter, DeadLetterReason, read_dead_letters};
pub use keeper::StateError;
pub use notice::{page_id, webhook_id};
pub use pace::Pace;
pub use stream::{Begin, EVENTS_KEPT_MAX, Found, Missed, StreamEvent, StreamReader, StreamWriter, event_stream};
pub use trial::{Trial, TrialAnswer};

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::alert::Rules;
use crate::api::{Component, ComponentStatus, Health, View};
use crate::clock;
use crate::config::{KafkaConfig, NotifyConfig, SubscriberConfig};
use crate::metrics::{Metrics, ReceiverKind};
use crate::model::{Page, PublicNews, Timestamp, Transition};
use delivery::Outcome;
use moment::Moment;
use receiver::Receiver;
use routes::Routes;
use setup::Making;
use storage::Storage;

/// Bound for the channels of transitions and of pages into [`Notifier::run`]. The task never waits for a receiver, so it
/// empties them at once; a full one holds the sender up for microseconds.
pub const CHANNEL_BOUND: usize = 1_024;
/// Taken from a channel at a time.
const TAKE_MAX: usize = 256;

/// Notifications cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A receiver's URL is none. It is not shown: it may hold a secret.
    #[error("the URL of a receiver cannot be read")]
    Url,
    /// The HTTP client cannot be built, usually for want of root certificates.
    #[error("cannot set up HTTP for receiver {name} (https needs the system's root certificates)")]
    Client {
        /// Scheme and host.
        name: String,
        /// Why.
        source: reqwest::Error,
    },
    /// A receiver lacks something: a file with a secret, usually.
    #[error("receiver {name}: {why}")]
    Receiver {
        /// Its name.
        name: String,
        /// What.
        why: String,
    },
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What a notifier has around it. Only the first three are always there.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// How often and how long to try.
    pub pace: Pace,
    /// Our own metrics.
    pub metrics: &'a Arc<Metrics>,
    /// Where trouble with receivers shows.
    pub health: &'a Arc<Health>,
    /// The rules in force: what Alertmanager is told has their words, and what fired before a restart is waited for as long
    /// as its own says.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// Brokers, for topics.
    pub kafka: Option<&'a KafkaConfig>,
    /// Where outboxes are kept. Without it what waits is gone with the process.
    pub state_dir: Option<&'a Path>,
    /// What detection shows: heartbeats follow its watermark.
    pub view: Option<watch::Receiver<Arc<View>>>,
    /// Who listens over HTTP.
    pub stream: Option<StreamWriter>,
    /// Who is told of changes of the status page.
    pub subscribers: &'a [SubscriberConfig],
}

/// What comes in to be told. A closed channel ends nothing.
#[derive(Debug)]
pub struct Inlets {
    /// Transitions.
    pub transitions: mpsc::Receiver<Arc<Transition>>,
    /// Pages.
    pub pages: mpsc::Receiver<Arc<Page>>,
    /// News of the status page.
    pub news: mpsc::Receiver<Arc<PublicNews>>,
}

impl Inlets {
    fn close(&mut self) {
        self.transitions.close();
        self.pages.close();
        self.news.close();
    }

    /// Waits for something; pending once all are closed and empty.
    async fn next(&mut self) -> Incoming {
        let (mut transitions, mut pages, mut news) = (Vec::new(), Vec::new(), Vec::new());
        tokio::select! {
            biased;
            1.. = self.pages.recv_many(&mut pages, TAKE_MAX) => Incoming::Pages(pages),
            1.. = self.transitions.recv_many(&mut transitions, TAKE_MAX) => Incoming::Transitions(transitions),
            1.. = self.news.recv_many(&mut news, TAKE_MAX) => Incoming::News(news),
            else => std::future::pending().await,
        }
    }

    /// What is there.
    fn take(&mut self) -> Option<Incoming> {
        let page = self.pages.try_recv().ok().map(|page| Incoming::Pages(vec![page]));
        let transition = || self.transitions.try_recv().ok().map(|one| Incoming::Transitions(vec![one]));
        page.or_else(transition).or_else(|| self.news.try_recv().ok().map(|one| Incoming::News(vec![one])))
    }
}

/// Some of what came in.
enum Incoming {
    Transitions(Vec<Arc<Transition>>),
    Pages(Vec<Arc<Page>>),
    News(Vec<Arc<PublicNews>>),
}

/// All receivers and what they are still to be told.
#[derive(Debug)]
pub struct Notifier {
    receivers: Vec<Receiver>,
    routes: Routes,
    storage: Storage,
    view: Option<watch::Receiver<Arc<View>>>,
    stream: Option<StreamWriter>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    draining: bool,
}

/// What happened, for the owner of the state to apply.
enum Action {
    Accept(Incoming),
    Settle(Result<(Id, Outcome), JoinError>),
    Due,
    Stop,
}

impl Notifier {
    /// Sets up every receiver of the configuration, with what they were still to be told. Nothing is sent before
    /// [`Notifier::run`].
    ///
    /// # Errors
    /// See [`NotifyError`].
    pub fn new(config: &NotifyConfig, surroundings: Surroundings<'_>) -> Result<Self, NotifyError> {
        let Surroundings { pace, metrics, health, rules, kafka, state_dir, view, stream, subscribers } = surroundings;
        let making = Making { kafka, pace, rules, metrics };
        let mut receivers = making.receivers(config)?;
        for subscriber in subscribers {
            receivers.push(making.subscriber(subscriber)?);
        }
        let moment = Moment::without_disk(Instant::now(), clock::now());
        let storage = Storage::open(state_dir, &mut receivers, metrics, moment)?;
        let (metrics, health, routes) = (Arc::clone(metrics), Arc::clone(health), Routes::new(config));
        Ok(Self { receivers, routes, storage, view, stream, metrics, health, draining: false })
    }

    /// How many pages, in the order of the channel, every receiver has safely on disk (or, without a state directory, in
    /// memory). Who sends pages may forget them then; what is sent again after a restart is told once.
    #[must_use]
    pub fn pages_safe(&self) -> watch::Receiver<u64> {
        self.storage.pages_safe()
    }

    /// Tells the receivers until `stop` is cancelled; then delivers what is due, without waiting for receivers that
    /// fail, and returns. Closed channels end nothing: firing alerts are still sent again.
    pub async fn run(mut self, mut inlets: Inlets, stop: CancellationToken) {
        let mut deliveries = JoinSet::new();
        loop {
            self.storage.look(&self.receivers, Instant::now());
            self.start_deliveries(&mut deliveries);
            self.storage.keep(&mut self.receivers);
            self.report();
            if self.draining && deliveries.is_empty() {
                break;
            }
            let due = self.receivers.iter().filter_map(Receiver::due_at).min();
            let action = tokio::select! {
                biased;
                () = stop.cancelled(), if !self.draining => Action::Stop,
                Some(joined) = deliveries.join_next_with_id() => Action::Settle(joined),
                incoming = inlets.next(), if !self.draining => Action::Accept(incoming),
                () = sleep_until(due), if !self.draining => Action::Due,
                () = self.storage.moves() => Action::Due,
            };
            match action {
                Action::Accept(incoming) => self.accept(&incoming),
                Action::Settle(joined) => self.settle(joined),
                Action::Due => {}
                Action::Stop => {
                    self.draining = true;
                    inlets.close();
                    while let Some(incoming) = inlets.take() {
                        self.accept(&incoming);
                    }
                }
            }
        }
        let is_kept = self.storage.is_kept();
        self.receivers.iter_mut().for_each(|receiver| receiver.stop(is_kept));
        self.storage.close(&mut self.receivers).await;
    }

    fn start_deliveries(&mut self, deliveries: &mut JoinSet<Outcome>) {
        let (moment, watermark) = (self.moment(), self.watermark());
        let draining = self.draining;
        for receiver in self.receivers.iter_mut().filter(|receiver| !(draining && receiver.failing())) {
            if let Some(message) = receiver.start(moment, watermark) {
                let handle = deliveries.spawn(receiver.transport.clone().send(message));
                receiver.in_flight = Some(handle.id());
            }
        }
    }

    fn moment(&self) -> Moment {
        let (now, wall_clock, batch) = (Instant::now(), clock::now(), self.storage.batch());
        // At the end nothing waits for the disk: what is told twice then is told twice after the start.
        let safe = if self.draining { u64::MAX } else { self.storage.safe() };
        Moment { now, wall_clock, batch, safe }
    }

    fn watermark(&self) -> Option<Timestamp> {
        self.view.as_ref().and_then(|view| view.borrow().watermark)
    }

    fn accept(&mut self, incoming: &Incoming) {
        match incoming {
            Incoming::Transitions(transitions) => self.accept_transitions(transitions),
            Incoming::Pages(pages) => self.accept_pages(pages),
            Incoming::News(news) => self.accept_news(news),
        }
    }

    fn accept_news(&mut self, news: &[Arc<PublicNews>]) {
        let moment = self.moment();
        for news in news {
            self.receivers.iter_mut().for_each(|receiver| receiver.accept_news(news, moment));
        }
    }

    fn accept_transitions(&mut self, transitions: &[Arc<Transition>]) {
        let moment = self.moment();
        for transition in transitions {
            if let Some(stream) = &self.stream {
                stream.transition(transition);
            }
            let selected = self.routes.select(&transition.as_ref().into());
            for receiver in &mut self.receivers {
                let is_selected = receiver.identity.route.as_deref().is_none_or(|name| selected.contains(name));
                receiver.accept_transition(transition, is_selected, moment);
            }
        }
    }

    fn accept_pages(&mut self, pages: &[Arc<Page>]) {
        let moment = self.moment();
        for page in pages {
            if let Some(stream) = &self.stream {
                stream.page(page);
            }
            let selected = self.routes.select(&page.as_ref().into());
            for receiver in &mut self.receivers {
                let is_selected = receiver.identity.route.as_deref().is_none_or(|name| selected.contains(name));
                receiver.accept_page(page, is_selected, moment);
            }
            self.storage.add_page();
        }
    }

    fn settle(&mut self, joined: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match joined {
            Ok(delivered) => delivered,
            // A panic inside the client: the receiver must not wait for it for ever.
            Err(error) => (error.id(), Outcome::Retry { why: error.to_string(), after: None }),
        };
        let moment = self.moment();
        if let Some(receiver) = self.receivers.iter_mut().find(|receiver| receiver.in_flight == Some(id)) {
            receiver.settle(outcome, moment);
        }
    }

    /// Brings metrics and health up to date.
    fn report(&self) {
        for kind in ReceiverKind::ALL {
            let of_kind = self.receivers.iter().filter(|receiver| receiver.identity.kind == kind);
            self.metrics.set_notifications_waiting(kind, of_kind.map(Receiver::waiting).sum());
        }
        let mut troubles: Vec<String> = self.receivers.iter().filter_map(Receiver::trouble).collect();
        troubles.extend(self.storage.trouble());
        let status = if troubles.is_empty() { ComponentStatus::Ok } else { ComponentStatus::Degraded };
        let detail = if self.receivers.is_empty() { "no receiver configured".to_owned() } else { troubles.join("; ") };
        self.health.set(Component::Notify, status, &detail, clock::now());
    }
}

/// Sleeps until the moment, or for ever without one.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
