//! The public status page at work: one thread owns what is public and remembers it, another serves it.
//!
//! Both have runtimes of their own: while the rest of the service is busy or stuck, the page is served, and says how old
//! its data is.

mod keeper;
mod state_file;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot, watch};

use crate::api::{Component, ComponentStatus, Health, StatusRoutes};
use crate::clock;
use crate::config::{Config, StatusConfig};
use crate::listener::tls_acceptor;
use crate::metrics::Metrics;
use crate::model::{IncidentReport, PublicNews, Timestamp};
use crate::public_site::{self, Site};
use crate::shutdown::{Stage, TaskError, Tasks};
use crate::status::render::public_files;
use crate::status::{Board, StatusState, StatusWindow, StoredStatus};
use keeper::{Keeper, Outlets};
use state_file::StateFile;

/// Notes of detection on their way to the keeper. At the bound what follows waits in the pipeline's meter.
const NOTES_BOUND: usize = 256;
/// Commands of people that wait; at the bound they wait in the HTTP server.
const REQUESTS_BOUND: usize = 64;

/// What time it is on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusClock {
    /// That of the wall: data grows old.
    #[default]
    Wall,
    /// That of the data: a demo tells of another day.
    Data,
}

/// What detection has measured and decided.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// Closed windows, by component.
    pub windows: Vec<StatusWindow>,
    /// Internal incidents that are new or have changed.
    pub reports: Vec<IncidentReport>,
}

/// How to reach the status page.
#[derive(Debug)]
pub(super) struct Status {
    /// For detection.
    pub notes: mpsc::Sender<Note>,
    /// For people.
    pub routes: StatusRoutes,
    /// Where the public reads.
    pub address: SocketAddr,
}

/// What the status page has around it.
pub(super) struct Around<'a> {
    pub tasks: &'a mut Tasks,
    pub metrics: &'a Arc<Metrics>,
    pub health: &'a Arc<Health>,
    pub news: mpsc::Sender<Arc<PublicNews>>,
    pub clock: StatusClock,
}

/// Starts both threads.
///
/// # Errors
/// The address is in use; the state directory is, or what is in it cannot be used.
pub(super) fn spawn(config: &Config, status: &StatusConfig, around: Around<'_>) -> anyhow::Result<Status> {
    let Around { tasks, metrics, health, news, clock } = around;
    let listener = std::net::TcpListener::bind(status.listen)
        .with_context(|| format!("cannot listen on {} (status.listen)", status.listen))?;
    let address = listener.local_addr()?;
    let tls = status.tls.as_ref().map(|tls| tls_acceptor("status.tls", tls)).transpose()?;
    let directory = config.status_state_dir();
    let file = StateFile::open(&directory)?;
    let state = StatusState::new(status, state_file::load(&directory)?);

    // The last truth is there before the first question.
    let remembered = public_files(&state.board(clock::now()));
    let (site, sites) = watch::channel(Arc::new(Site::new(remembered, &Site::default())));
    let (notes, notes_receiver) = mpsc::channel(NOTES_BOUND);
    let (requests, requests_receiver) = mpsc::channel(REQUESTS_BOUND);
    let (view, views) = watch::channel(Arc::default());
    let outlets = Outlets {
        site,
        view,
        news,
        export_dir: status.export_dir.clone(),
        metrics: Arc::clone(metrics),
        health: Arc::clone(health),
    };
    let keeper = Keeper::new(state, file, clock, outlets);
    let stop = tasks.token(Stage::Store);
    on_own_thread(tasks, Stage::Store, "status", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(keeper.run(notes_receiver, requests_receiver, stop));
        // All is saved; an export that does not end is not waited for.
        runtime.shutdown_background();
        Ok(())
    })?;
    let stop = tasks.token(Stage::Api);
    on_own_thread(tasks, Stage::Api, "public site", move || public_site::run(listener, sites, tls, stop))?;
    health.set(Component::Status, ComponentStatus::Ok, "", clock::now());
    Ok(Status { notes, routes: StatusRoutes { view: views, requests }, address })
}

/// What is public now, as it was saved last: for whoever has the directory and no service.
///
/// # Errors
/// There is nothing, or it cannot be used.
pub fn read_board(config: &Config, now: Timestamp) -> anyhow::Result<Board> {
    let status = config.status.as_ref().context("the configuration has no [status] section")?;
    let directory = config.status_state_dir();
    let stored = stored(&directory)?;
    let stored = stored.with_context(|| format!("{} holds nothing yet: has the service run?", directory.display()))?;
    Ok(StatusState::new(status, Some(stored)).board(now))
}

fn stored(directory: &Path) -> Result<Option<StoredStatus>, state_file::StateFileError> {
    state_file::load(directory)
}

/// Runs `work` on a thread that is waited for like a task.
fn on_own_thread(
    tasks: &mut Tasks,
    stage: Stage,
    name: &'static str,
    work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> std::io::Result<()> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name(name.replace(' ', "-")).spawn(move || {
        // Nobody waits any more once the stage's time is over.
        let _ = ended.send(work());
    })?;
    tasks.spawn(stage, name, async move {
        match end.await {
            Ok(result) => Ok(result?),
            Err(_) => Err(TaskError::from(format!("the thread of the {name} has panicked"))),
        }
    });
    Ok(())
}
