//! The notifier, at a pace of milliseconds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use floodmark::alert::notify::{CHANNEL_BOUND, Inlets, Notifier, Pace, StreamWriter, Surroundings};
use floodmark::api::{Component, ComponentStatus, Health, Readiness, View};
use floodmark::clock;
use floodmark::config::{Config, KafkaConfig, NotifyConfig, SubscriberConfig};
use floodmark::metrics::Metrics;
use floodmark::model::{Page, PublicNews, Timestamp, Transition};

use super::service::{PATIENCE, until};

/// A running notifier.
pub struct Running {
    pub transitions: mpsc::Sender<Arc<Transition>>,
    pub pages: mpsc::Sender<Arc<Page>>,
    pub news: mpsc::Sender<Arc<PublicNews>>,
    pub pages_safe: watch::Receiver<u64>,
    pub metrics: Arc<Metrics>,
    pub health: watch::Receiver<Readiness>,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

/// What it has around it.
#[derive(Default)]
pub struct Around<'a> {
    pub kafka: Option<&'a KafkaConfig>,
    pub state_dir: Option<&'a Path>,
    pub view: Option<watch::Receiver<Arc<View>>>,
    pub stream: Option<StreamWriter>,
    pub pace: Option<Pace>,
    pub subscribers: &'a [SubscriberConfig],
}

/// Milliseconds where production has seconds.
pub fn pace() -> Pace {
    Pace {
        backoff_first: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        // A machine that is busy is no disk that hangs.
        wait_for_disk: PATIENCE,
        ..Pace::default()
    }
}

/// `[notify]` as a file would say it, checked.
pub fn config(text: &str) -> NotifyConfig {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("floodmark.toml");
    std::fs::write(&path, format!("[kafka]\nbrokers = 'x:1'\n{text}")).unwrap();
    Config::load(Some(&path), []).unwrap().notify
}

impl Running {
    pub fn start(config: &NotifyConfig, around: Around<'_>) -> Self {
        let metrics = Arc::new(Metrics::new());
        let health = Arc::new(Health::new(clock::now()));
        let Around { kafka, state_dir, view, stream, pace: given, subscribers } = around;
        let pace = given.unwrap_or_else(pace);
        let surroundings = Surroundings {
            pace,
            metrics: &metrics,
            health: &health,
            rules: watch::channel(Arc::default()).1,
            kafka,
            state_dir,
            view,
            stream,
            subscribers,
        };
        let notifier = Notifier::new(config, surroundings).unwrap();
        let pages_safe = notifier.pages_safe();
        let (transitions, transitions_receiver) = mpsc::channel(CHANNEL_BOUND);
        let (pages, pages_receiver) = mpsc::channel(CHANNEL_BOUND);
        let (news, news_receiver) = mpsc::channel(CHANNEL_BOUND);
        let stop = CancellationToken::new();
        let inlets = Inlets { transitions: transitions_receiver, pages: pages_receiver, news: news_receiver };
        let ended = tokio::spawn(notifier.run(inlets, stop.clone()));
        Self { transitions, pages, news, pages_safe, metrics, health: health.subscribe(), stop, ended }
    }

    pub async fn page(&self, page: &Page) {
        self.pages.send(Arc::new(page.clone())).await.unwrap();
    }

    pub async fn transition(&self, transition: &Transition) {
        self.transitions.send(Arc::new(transition.clone())).await.unwrap();
    }

    /// Waits until so many pages are safe.
    pub async fn until_safe(&mut self, count: u64) {
        let waited = tokio::time::timeout(PATIENCE, self.pages_safe.wait_for(|safe| *safe >= count)).await;
        waited.expect("pages are safe in time").unwrap();
    }

    /// Waits until trouble is told in words that are `expected`, and gives the words.
    pub async fn until_trouble(&mut self, expected: &str) -> String {
        let notify = |readiness: &Readiness| {
            let component = readiness.components().iter().find(|c| c.name == Component::Notify).unwrap();
            (component.status, component.detail.clone())
        };
        let is_told = |readiness: &Readiness| {
            let (status, detail) = notify(readiness);
            status == ComponentStatus::Degraded && detail.contains(expected)
        };
        let waited = tokio::time::timeout(PATIENCE, self.health.wait_for(is_told)).await;
        notify(&waited.unwrap_or_else(|_| panic!("no trouble about {expected}")).unwrap()).1
    }

    /// The sum of a counter over the series that begin so.
    pub fn counted(&self, series: &str) -> u64 {
        let text = self.metrics.encode(Timestamp::default());
        let values = text.lines().filter(|line| line.starts_with(series));
        values.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Waits until a counter is so high.
    pub async fn until_counted(&self, series: &str, count: u64) {
        until(series, async || (self.counted(series) == count).then_some(())).await;
    }

    /// Stops and waits for the end.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.ended).await.expect("ends").unwrap();
    }
}
