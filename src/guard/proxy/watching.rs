//! Black box and watchdog beside the gate, in one process: what they see goes to the gate, what the gate has learned is kept
//! on disk beside the ring, so that a restart of the guard forgets neither.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::gatekeeper::Gatekeeper;
use crate::guard::gate::GateSnapshot;
use crate::guard::policy::GuardPolicy;
use crate::guard::watch::{Watch, WatchError, WatchEvent, run, watch_client};
use crate::metrics::Metrics;

/// Events on their way to the gate. The watch keeps the latest when they are not taken.
const EVENTS_BOUND: usize = 256;
/// How often what the gate knows is written down: of what it has learned so much is forgotten when the guard is killed.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(10);
/// Least time between two writings of what happened by itself.
const SNAPSHOT_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Name of the file that is held while a proxy writes the other.
const LOCK_FILE: &str = "gate.lock";
/// Name of the file in `black_box.directory`.
const SNAPSHOT_FILE: &str = "gate.json";

/// A watch that tells the gate, and hears of it which fingerprints are tripped.
pub(super) fn watch_beside(
    policy: &GuardPolicy,
    metrics: Arc<Metrics>,
) -> Result<(Watch, watch::Sender<BTreeSet<String>>), WatchError> {
    let (sender, tripped) = watch::channel(BTreeSet::new());
    Ok((Watch { policy: policy.clone(), client: watch_client(policy)?, metrics, tripped }, sender))
}

/// Watches until it is told to stop.
pub(super) async fn watched(
    watch: Watch,
    tripped: watch::Sender<BTreeSet<String>>,
    gatekeeper: Arc<Gatekeeper>,
    stop: CancellationToken,
) {
    let (events, mut told) = mpsc::channel(EVENTS_BOUND);
    let hearing = async {
        while let Some(event) = told.recv().await {
            hear(&event, &gatekeeper, &tripped);
        }
    };
    let (watched, ()) = tokio::join!(run(watch, stop, events), hearing);
    if let Err(error) = watched {
        tracing::error!(%error, "the black box and the watchdog do not work; queries are admitted without them");
    }
}

fn hear(event: &WatchEvent, gatekeeper: &Gatekeeper, tripped: &watch::Sender<BTreeSet<String>>) {
    if !matches!(event, WatchEvent::Memory { .. }) {
        tracing::warn!("{event}");
    }
    if let Some(input) = event.gate_input() {
        gatekeeper.tell(input);
    }
    let open: BTreeSet<String> = gatekeeper.status().breakers.into_iter().map(|breaker| breaker.fingerprint).collect();
    tripped.send_if_modified(|known| {
        let is_new = *known != open;
        *known = open;
        is_new
    });
}

/// What an earlier run has left. A file that cannot be read is said, and kept beside the one that will be written.
pub(super) fn restored(directory: &Path) -> GateSnapshot {
    let path = directory.join(SNAPSHOT_FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return GateSnapshot::default(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read what the gate knew");
            return GateSnapshot::default();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        let kept = path.with_extension("json.unreadable");
        let is_kept = std::fs::rename(&path, &kept).is_ok();
        let kept = if is_kept { kept.display().to_string() } else { String::new() };
        let lost = "what the gate knew cannot be read: blocks, breakers and safe mode of before do not hold";
        tracing::error!(path = %path.display(), %error, kept, "{lost}");
        GateSnapshot::default()
    })
}

/// The file of what the gate knows.
#[derive(Debug)]
pub(super) struct Snapshots {
    directory: PathBuf,
    gatekeeper: Arc<Gatekeeper>,
    /// Held while one is taken and written, so that the later one is the one that stays.
    writing: tokio::sync::Mutex<()>,
}

impl Snapshots {
    pub(super) fn new(directory: PathBuf, gatekeeper: Arc<Gatekeeper>) -> Self {
        Self { directory, gatekeeper, writing: tokio::sync::Mutex::new(()) }
    }

    /// Writes down what the gate knows now.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) async fn write(&self) -> std::io::Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let (snapshot, directory) = (self.gatekeeper.snapshot(), self.directory.clone());
        tokio::task::spawn_blocking(move || write(&directory, &snapshot)).await.map_err(std::io::Error::other)?
    }
}

/// Takes the directory: two proxies would write over each other what operators have set.
///
/// # Errors
/// `WouldBlock`: another proxy has it. Else the disk refuses.
pub(super) fn take(directory: &Path) -> std::io::Result<File> {
    std::fs::create_dir_all(directory)?;
    let lock = File::options().write(true).create(true).truncate(false).open(directory.join(LOCK_FILE))?;
    lock.try_lock()?;
    Ok(lock)
}

/// Writes down what the gate knows: soon after what must not be forgotten, now and then, and at the end. `lock` is held
/// as long.
pub(super) async fn keep_snapshots(snapshots: Arc<Snapshots>, lock: File, stop: CancellationToken) {
    let mut interval = tokio::time::interval(SNAPSHOT_INTERVAL);
    let mut is_over = false;
    while !is_over {
        is_over = tokio::select! {
            () = stop.cancelled() => true,
            _ = interval.tick() => false,
            () = snapshots.gatekeeper.to_keep.notified() => false,
        };
        if let Err(error) = snapshots.write().await {
            tracing::warn!(%error, "cannot write down what the gate knows");
        }
        if !is_over {
            let pause = tokio::time::timeout(SNAPSHOT_INTERVAL_MIN, stop.cancelled());
            // Either way the loop goes on: at the end to write once more.
            let _ = pause.await;
        }
    }
    drop(lock);
}

/// Beside the file and then in its place, so that a crash leaves the old one or the new one.
fn write(directory: &Path, snapshot: &GateSnapshot) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    serde_json::to_writer(&mut file, snapshot)?;
    file.flush()?;
    file.as_file().sync_data()?;
    file.persist(directory.join(SNAPSHOT_FILE))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::gate::{Gate, GateInput};
    use crate::model::Timestamp;

    #[test]
    fn what_the_gate_knows_survives_and_a_damaged_file_is_no_end() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(restored(directory.path()), GateSnapshot::default());
        let mut gate = Gate::new(GuardPolicy::default(), 1 << 30);
        let block = GateInput::Block { fingerprint: "f".to_owned(), until: None, reason: "a test".to_owned() };
        gate.apply(block, Timestamp::from_millis(1_772_360_105_000));
        write(directory.path(), &gate.snapshot()).unwrap();
        assert_eq!(restored(directory.path()), gate.snapshot());
        std::fs::write(directory.path().join(SNAPSHOT_FILE), "{").unwrap();
        assert_eq!(restored(directory.path()), GateSnapshot::default());
        // Blocks of operators are in it: whoever mends it has it back.
        let kept = directory.path().join(SNAPSHOT_FILE).with_extension("json.unreadable");
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "{");
    }

    #[test]
    fn a_directory_is_one_proxys() {
        let directory = tempfile::tempdir().unwrap();
        let lock = take(directory.path()).unwrap();
        assert_eq!(take(directory.path()).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        drop(lock);
        assert!(take(directory.path()).is_ok());
    }

    #[tokio::test]
    async fn a_block_is_on_disk_long_before_the_next_snapshot_is_due() {
        let directory = tempfile::tempdir().unwrap();
        let gate = Gate::new(GuardPolicy::default(), 1 << 30);
        let gatekeeper = Arc::new(Gatekeeper::new(gate, Arc::new(Metrics::new())));
        let snapshots = Arc::new(Snapshots::new(directory.path().to_owned(), Arc::clone(&gatekeeper)));
        let stop = CancellationToken::new();
        let lock = take(directory.path()).unwrap();
        let keeping = tokio::spawn(keep_snapshots(Arc::clone(&snapshots), lock, stop.clone()));
        let path = directory.path().to_owned();
        let began = tokio::time::Instant::now();
        while !path.join(SNAPSHOT_FILE).exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(began.elapsed() < SNAPSHOT_INTERVAL);
        }
        gatekeeper.tell(GateInput::Block { fingerprint: "f".to_owned(), until: None, reason: String::new() });
        let told = tokio::time::Instant::now();
        while restored(&path) != gatekeeper.snapshot() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(told.elapsed() < SNAPSHOT_INTERVAL / 2);
        }
        gatekeeper.tell(GateInput::Unblock { fingerprint: "f".to_owned() });
        snapshots.write().await.unwrap();
        assert_eq!(restored(&path), gatekeeper.snapshot());
        stop.cancel();
        keeping.await.unwrap();
    }
}
