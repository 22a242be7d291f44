//! The one owner of what the watch knows: a look, then everything that follows from it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::{mpsc, watch};

use super::event::WatchEvent;
use super::recorder::{Recorder, RecorderThread};
use super::restarts::{self, Restarts};
use super::{Watch, WatchError};
use crate::clock;
use crate::guard::black_box::{Entry, History, Look, Looker, is_away, read_entries};
use crate::guard::sql;
use crate::guard::watchdog::{Act, AuditLine, Kill, Watchdog};
use crate::metrics::Metrics;
use crate::model::{Text, Timestamp};
use crate::store::{ClickHouse, StoreError};

/// Events that wait for whoever takes them; the oldest are left out and counted.
const EVENTS_WAITING_MAX: usize = 256;

/// The watch.
#[derive(Debug)]
pub(super) struct WatchTask {
    looker: Looker,
    client: ClickHouse,
    watchdog: Watchdog,
    restarts: Restarts,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    tripped: watch::Receiver<BTreeSet<String>>,
    suspect_share_min: f64,
    /// Since when it has not been seen.
    unseen: Option<Unseen>,
    events: mpsc::Sender<WatchEvent>,
    waiting: VecDeque<WatchEvent>,
}

/// A time without looks, and what was told of it: each once, however often the two take turns.
#[derive(Debug, Clone, Copy)]
struct Unseen {
    since: Timestamp,
    told_away: bool,
    told_refused: bool,
}

#[derive(Debug, Deserialize)]
struct KillRow {
    kill_status: String,
}

impl WatchTask {
    /// Opens the black box and reads what is in it.
    pub(super) async fn begin(
        watch: Watch,
        events: mpsc::Sender<WatchEvent>,
    ) -> Result<(Self, RecorderThread), WatchError> {
        let Watch { policy, client, metrics, tripped } = watch;
        let (recorder, thread) = Recorder::start(&policy.black_box, Arc::clone(&metrics))?;
        let directory = policy.black_box.directory.clone();
        // Up to the whole ring is read; nobody looks meanwhile, but the runtime's threads stay free.
        let read = tokio::task::spawn_blocking(move || remembered(&directory)).await;
        let (history, last) = read.unwrap_or_default();
        recorder.keep(Entry::Began { at: clock::now() });
        let memory_bytes_max = policy.server.memory_bytes_max.map(|bytes| bytes.0.as_u64());
        let task = Self {
            looker: Looker::new(client.clone(), memory_bytes_max),
            client,
            watchdog: Watchdog::new(&policy, history),
            restarts: Restarts::after(last),
            recorder,
            metrics,
            tripped,
            suspect_share_min: policy.safe_mode.suspect_memory_share_min,
            unseen: None,
            events,
            waiting: VecDeque::new(),
        };
        Ok((task, thread))
    }

    /// Stopped in order: what follows in the ring is no crash.
    pub(super) fn end(&self) {
        self.recorder.keep(Entry::Ended { at: clock::now() });
    }

    /// Looks once, and does what follows.
    pub(super) async fn look(&mut self) {
        let at = clock::now();
        match self.looker.look(at).await {
            Ok(look) => self.seen(look).await,
            Err(error) => self.not_seen(at, &error),
        }
        self.pass_on();
    }

    async fn seen(&mut self, look: Look) {
        self.metrics.add_guard_look(true);
        self.metrics.set_guard_memory(look.memory_used_bytes, look.memory_limit_bytes);
        let before = self.restarts.look(&look);
        let unseen = self.unseen.take();
        // What takes memory is dealt with first; the disk and the query log can wait.
        let tripped: BTreeSet<Text> = self.tripped.borrow().iter().map(Text::from).collect();
        for act in self.watchdog.look(&look, before.is_some(), &tripped) {
            self.act(act, &look).await;
        }
        self.recorder.keep(Entry::Look(look.clone()));
        match (before, unseen) {
            (Some(last), _) => self.restarted(&last, &look).await,
            (None, Some(unseen)) => {
                self.tell(WatchEvent::Reachable { at: look.at, after_ms: look.at.since(unseen.since) });
            }
            (None, None) => {}
        }
        self.tell(WatchEvent::Memory {
            at: look.at,
            used_bytes: look.memory_used_bytes,
            limit_bytes: look.memory_limit_bytes,
        });
    }

    fn not_seen(&mut self, at: Timestamp, error: &StoreError) {
        self.metrics.add_guard_look(false);
        self.restarts.lost();
        let (code, why) = (Text::from(error.code()), error.to_string());
        self.recorder.keep(Entry::LookFailed { at, code, why: why.clone() });
        let is_away = is_away(error.code());
        let mut unseen = self.unseen.unwrap_or(Unseen { since: at, told_away: false, told_refused: false });
        let told = if is_away { &mut unseen.told_away } else { &mut unseen.told_refused };
        let was_told = std::mem::replace(told, true);
        self.unseen = Some(unseen);
        match (was_told, is_away) {
            (true, _) => {}
            (false, true) => self.tell(WatchEvent::Unreachable { at, error: why }),
            (false, false) => self.tell(WatchEvent::LookRefused { at, error: why }),
        }
    }

    async fn restarted(&mut self, last: &Look, look: &Look) {
        let left = restarts::left(&self.client, last, look, self.suspect_share_min).await;
        self.metrics.add_guard_restart(left.unclean);
        self.recorder.keep(Entry::Restarted { at: look.at, unclean: left.unclean });
        self.tell(WatchEvent::Restarted {
            at: look.at,
            last_look_at: last.at,
            unclean: left.unclean,
            suspects: left.suspects,
        });
    }

    async fn act(&mut self, act: Act, look: &Look) {
        let at = look.at;
        match act {
            Act::Kill(kill) => {
                self.recorder.audit(AuditLine::new("kill", &kill, look)).await;
                self.kill(kill, look).await;
            }
            Act::WouldKill(kill) => {
                self.recorder.audit(AuditLine::new("would_kill", &kill, look)).await;
                self.tell(WatchEvent::WouldKill { at, kill });
            }
            Act::Ended(kill, after_ms) => {
                let line = AuditLine { after_ms: Some(after_ms), ..AuditLine::new("ended", &kill, look) };
                self.recorder.audit(line).await;
                self.tell(WatchEvent::Ended { at, kill, after_ms });
            }
            Act::Deaf(kill, after_ms) => {
                let line = AuditLine { after_ms: Some(after_ms), ..AuditLine::new("deaf", &kill, look) };
                self.recorder.audit(line).await;
                self.tell(WatchEvent::Deaf { at, kill, after_ms });
            }
            Act::Warn(warning) => {
                let (used_bytes, limit_bytes) = (look.memory_used_bytes, look.memory_limit_bytes);
                self.tell(WatchEvent::Warned { at, warning, used_bytes, limit_bytes });
            }
        }
    }

    async fn kill(&mut self, kill: Box<Kill>, look: &Look) {
        let parameters = [("query_id", kill.query.query_id.as_str()), ("user", kill.query.user.as_str())];
        let answer = self.client.fetch::<KillRow>(sql::KILL, &parameters).await;
        let (what, error) = match &answer {
            // Not found: it has ended since the look.
            Ok(rows) if rows.is_empty() => ("gone", None),
            Ok(rows) if rows.iter().any(|row| row.kill_status == "waiting") => ("killed", None),
            Ok(rows) => ("failed", Some(format!("the server says {}", rows[0].kill_status))),
            Err(error) => ("failed", Some(error.to_string())),
        };
        let line = AuditLine { at: clock::now(), error: error.clone(), ..AuditLine::new(what, &kill, look) };
        let at = line.at;
        self.recorder.audit(line).await;
        match error {
            Some(error) => {
                self.watchdog.kill_failed(&kill.query.query_id);
                self.tell(WatchEvent::KillFailed { at, kill, error });
            }
            None if what == "killed" => {
                self.recorder.keep(Entry::Killed { at: look.at, query_id: kill.query.query_id.clone() });
                self.tell(WatchEvent::Killed { at, kill });
            }
            None => {}
        }
    }

    fn tell(&mut self, event: WatchEvent) {
        if let Some(outcome) = event.outcome() {
            self.metrics.add_guard_kill(outcome);
        }
        if matches!(event, WatchEvent::Memory { .. }) {
            self.waiting.retain(|waiting| !matches!(waiting, WatchEvent::Memory { .. }));
        }
        if self.waiting.len() == EVENTS_WAITING_MAX {
            self.waiting.pop_front();
            self.metrics.add_guard_records_lost(1);
        }
        self.waiting.push_back(event);
    }

    /// Hands over what waits, as far as there is room. A listener that is gone needs nothing.
    fn pass_on(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => self.waiting.clear(),
            }
        }
    }
}

/// What the ring knows from before: what queries were like, and the last look. A ring that cannot be read says nothing.
fn remembered(directory: &std::path::Path) -> (History, Option<Look>) {
    let entries = read_entries(directory).map(|(entries, _)| entries).unwrap_or_default();
    let history = History::of(&entries);
    let last = entries.into_iter().rev().find_map(|entry| match entry {
        Entry::Look(look) => Some(look),
        _ => None,
    });
    (history, last)
}
