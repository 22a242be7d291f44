//! The owner of what is public: windows, reports and commands in; files, news and the view of people out.
//!
//! A person's command is answered once it is on disk. What is measured is saved when a state changes, and else now and then:
//! what was not saved is read again after a restart, and windows that are known change nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::state_file::StateFile;
use super::{Note, StatusClock};
use crate::api::{Component, ComponentStatus, Health, StatusRefusal, StatusRequest, StatusView};
use crate::clock;
use crate::metrics::Metrics;
use crate::model::{PublicNews, Timestamp};
use crate::public_site::{Site, WriteSiteError, write_site};
use crate::status::render::{self, PublicFile, public_files};
use crate::status::{Board, StatusState};

/// What is measured is saved this often at least.
const SAVE_PAUSE: Duration = Duration::from_secs(15);
/// Files are made anew this often: "data as of" moves on.
const PUBLISH_PAUSE: Duration = Duration::from_secs(5);
/// And written as static files this often, where nothing changes: a page that is much older calls itself old.
const EXPORT_PAUSE: Duration = Duration::from_secs(60);
/// An export is waited for so long; a file system that does not answer must not hold up the page and its people.
const EXPORT_WAIT: Duration = Duration::from_secs(2);
/// However much changes, they are not made anew more often.
const PUBLISH_PAUSE_MIN: Duration = Duration::from_millis(500);
/// How often the clock is looked at: words end, announced work begins, data becomes old.
const TICK: Duration = Duration::from_millis(500);
/// Notes taken at a time.
const TAKE_MAX: usize = 64;

/// Where things go.
#[derive(Debug)]
pub(super) struct Outlets {
    /// To the public.
    pub site: watch::Sender<Arc<Site>>,
    /// To people of ours.
    pub view: watch::Sender<Arc<StatusView>>,
    /// To subscribers.
    pub news: mpsc::Sender<Arc<PublicNews>>,
    /// To files as well.
    pub export_dir: Option<PathBuf>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
}

/// The state and what became of it.
pub(super) struct Keeper {
    state: StatusState,
    file: Arc<StateFile>,
    clock: StatusClock,
    outlets: Outlets,
    /// What was published last.
    board: Board,
    published_at: Option<Instant>,
    exported_at: Option<Instant>,
    /// An export under way. There is one at a time.
    export: Option<JoinHandle<Result<(), WriteSiteError>>>,
    saved_at: Instant,
    /// Something is not saved.
    is_behind: bool,
    /// Something changed that the public is to see at once.
    has_changed: bool,
    /// What is wrong with the disk, and with the export.
    troubles: [Option<String>; 2],
}

impl Keeper {
    pub fn new(state: StatusState, file: StateFile, clock: StatusClock, outlets: Outlets) -> Self {
        let board = state.board(clock::now());
        let (file, now) = (Arc::new(file), Instant::now());
        Self {
            state,
            file,
            clock,
            outlets,
            board,
            published_at: None,
            exported_at: None,
            export: None,
            saved_at: now,
            is_behind: false,
            has_changed: true,
            troubles: [None, None],
        }
    }

    /// Works until `stop` is cancelled; what is waiting then is taken in and saved.
    pub async fn run(
        mut self,
        mut notes: mpsc::Receiver<Note>,
        mut requests: mpsc::Receiver<StatusRequest>,
        stop: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken = Vec::new();
        let (mut notes_open, mut requests_open) = (true, true);
        loop {
            tokio::select! {
                biased;
                request = requests.recv(), if requests_open => match request {
                    Some(request) => self.obey(request).await,
                    None => requests_open = false,
                },
                count = notes.recv_many(&mut taken, TAKE_MAX), if notes_open => {
                    notes_open = count > 0;
                    taken.drain(..).for_each(|note| self.take(&note));
                }
                _ = tick.tick() => self.look_at_clock(),
                () = stop.cancelled() => break,
            }
            self.publish_when_due().await;
            self.save_when_due().await;
        }
        while let Ok(note) = notes.try_recv() {
            self.take(&note);
        }
        self.publish().await;
        let _ = self.save().await;
    }

    fn now(&self) -> Timestamp {
        match self.clock {
            StatusClock::Wall => clock::now(),
            // Before any data it is no moment of the clock's, which may be years later than the data.
            StatusClock::Data => self.state.data_as_of().unwrap_or(Timestamp::MIN),
        }
    }

    fn take(&mut self, note: &Note) {
        let now = self.now();
        for window in &note.windows {
            self.has_changed |= self.state.apply(window, now);
            self.is_behind = true;
        }
        for report in &note.reports {
            self.state.report(report);
        }
    }

    fn look_at_clock(&mut self) {
        let has_spoken = self.state.tick(self.now());
        (self.has_changed, self.is_behind) = (self.has_changed | has_spoken, self.is_behind | has_spoken);
        // Components change when data becomes too old, which nothing comes in to say.
        let freshness = self.state.freshness(self.now());
        self.has_changed |= freshness != self.board.freshness;
    }

    /// Does what a person asks for, and says so once it is on disk; what is not is not done.
    async fn obey(&mut self, asked: StatusRequest) {
        let StatusRequest { mut request, answer } = asked;
        // The page has one clock.
        request.at = self.now();
        let before = self.state.clone();
        let mut done = self.state.obey(&request).map_err(StatusRefusal::Command);
        if done.is_ok()
            && let Err(why) = self.save().await
        {
            self.state = before;
            done = Err(StatusRefusal::NotSaved(why));
        }
        if done.is_ok() {
            self.has_changed = true;
            self.publish().await;
        }
        // Who asked may have gone.
        let _ = answer.send(done);
    }

    async fn publish_when_due(&mut self) {
        let pause = if self.has_changed { PUBLISH_PAUSE_MIN } else { PUBLISH_PAUSE };
        if self.published_at.is_none_or(|at| at.elapsed() >= pause) {
            // What the public has read is remembered: an incident of the machine's is not told twice after a crash.
            if self.has_changed && self.is_behind {
                let _ = self.save().await;
            }
            self.publish().await;
        }
    }

    /// Makes everything anew, and tells subscribers what changed.
    async fn publish(&mut self) {
        let now = self.now();
        let mut board = self.state.board(now);
        board.page.is_replay = self.clock == StatusClock::Data;
        let files = public_files(&board);
        let is_due = self.has_changed || self.exported_at.is_none_or(|at| at.elapsed() >= EXPORT_PAUSE);
        let exported = self.outlets.export_dir.clone().filter(|_| is_due).map(|directory| (directory, files.clone()));
        let site = Site::new(files, &self.outlets.site.borrow());
        self.outlets.site.send_replace(Arc::new(site));
        let view = self.view(&board, now);
        let states: Vec<_> = board.components.iter().map(|component| component.state).collect();
        self.outlets.metrics.set_status_page(&states, view.drafts.len());
        self.outlets.view.send_replace(Arc::new(view));
        // What is served does not wait for what is exported.
        self.export(exported).await;
        if self.published_at.is_some() {
            for news in render::news(&self.board, &board) {
                // The notifier takes at once whatever comes; it is gone only when the service stops.
                let _ = self.outlets.news.send(Arc::new(news)).await;
            }
        }
        self.board = board;
        (self.published_at, self.has_changed) = (Some(Instant::now()), false);
    }

    /// Writes files, unless the former export still does: then as soon as it has ended.
    async fn export(&mut self, due: Option<(PathBuf, Vec<PublicFile>)>) {
        if self.export.as_ref().is_some_and(|export| !export.is_finished()) {
            if due.is_some() {
                self.exported_at = None;
            }
            return;
        }
        self.export_ended().await;
        if let Some((directory, files)) = due {
            self.exported_at = Some(Instant::now());
            self.export = Some(tokio::task::spawn_blocking(move || write_site(&directory, &files)));
            self.export_ended().await;
        }
    }

    /// Takes the result of the export under way, where there is one soon.
    async fn export_ended(&mut self) {
        let Some(mut export) = self.export.take() else { return };
        let trouble = match tokio::time::timeout(EXPORT_WAIT, &mut export).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => Some(format!("export: {error:#}")),
            Ok(Err(error)) => Some(format!("export: {error}")),
            Err(_) => {
                self.export = Some(export);
                Some("export: the file system does not answer".to_owned())
            }
        };
        self.note_trouble(1, trouble);
    }

    fn view(&self, board: &Board, now: Timestamp) -> StatusView {
        let (statements, settings) = (self.state.statements(), self.state.settings());
        StatusView::new(statements, settings, &board.components, (&board.page.url, board.data_as_of), now)
    }

    async fn save_when_due(&mut self) {
        if self.is_behind && self.saved_at.elapsed() >= SAVE_PAUSE {
            let _ = self.save().await;
        }
    }

    async fn save(&mut self) -> Result<(), String> {
        let (file, state) = (Arc::clone(&self.file), self.state.stored());
        let saved = tokio::task::spawn_blocking(move || file.save(&state)).await;
        let saved = saved.map_err(|error| error.to_string()).and_then(|saved| saved.map_err(|error| error.to_string()));
        self.saved_at = Instant::now();
        self.is_behind = saved.is_err();
        if saved.is_err() {
            self.outlets.metrics.add_status_save_failure();
        }
        self.note_trouble(0, saved.as_ref().err().map(|why| format!("state not saved: {why}")));
        saved
    }

    fn note_trouble(&mut self, place: usize, trouble: Option<String>) {
        if self.troubles[place] == trouble {
            return;
        }
        match &trouble {
            Some(why) => tracing::warn!(why, "status page"),
            None => tracing::info!("status page: works again"),
        }
        self.troubles[place] = trouble;
        let all: Vec<&str> = self.troubles.iter().flatten().map(String::as_str).collect();
        let status = if all.is_empty() { ComponentStatus::Ok } else { ComponentStatus::Degraded };
        self.outlets.health.set(Component::Status, status, &all.join("; "), clock::now());
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::config::StatusConfig;
    use crate::status::incidents::{Command, Request};

    #[tokio::test]
    async fn an_export_that_does_not_end_holds_nothing_up() {
        let directory = tempfile::tempdir().unwrap();
        let config: StatusConfig = toml::from_str("").unwrap();
        let (site, sites) = watch::channel(Arc::default());
        let (view, _) = watch::channel(Arc::default());
        let (news, _told) = mpsc::channel(8);
        let outlets = Outlets {
            site,
            view,
            news,
            export_dir: Some(directory.path().join("public")),
            metrics: Arc::new(Metrics::new()),
            health: Arc::new(Health::new(clock::now())),
        };
        // As a network file system whose server is gone.
        let held = std::fs::File::open(directory.path()).unwrap();
        held.lock().unwrap();
        let file = StateFile::open(&directory.path().join("state")).unwrap();
        let keeper = Keeper::new(StatusState::new(&config, None), file, StatusClock::Wall, outlets);
        let (_notes, notes) = mpsc::channel(8);
        let (requests, requests_receiver) = mpsc::channel(8);
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keeper.run(notes, requests_receiver, stop.clone()));
        for name in ["One", "Two", "Three"] {
            let (name, body) = (name.to_owned(), "Words.".to_owned());
            let command =
                Command::Open { name, body, status: None, impact: None, components: vec![], started_at: None };
            let request = Request { command, who: "somebody".to_owned(), at: clock::now(), key: None };
            let (answer, answered) = oneshot::channel();
            requests.send(StatusRequest { request, answer }).await.unwrap();
            tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap().unwrap().unwrap();
        }
        assert!(!sites.borrow().is_empty() && !directory.path().join("public").exists());
        // It goes on where it left off.
        held.unlock().unwrap();
        let written = async {
            while !std::fs::read_to_string(directory.path().join("public/history.html"))
                .is_ok_and(|t| t.contains("Three"))
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), written).await.unwrap();
        stop.cancel();
        keeping.await.unwrap();
    }
}
