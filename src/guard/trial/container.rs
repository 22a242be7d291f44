//! The container of a trial's engine: ends it with SIGKILL when its resident memory passes a limit, as the kernel does to
//! a container's, and counts that. A limit that ClickHouse does not know of is what the incident had.

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::local::EngineState;

/// How often it looks. Memory grows by about 1 GB a second: the overshoot stays below 30 MB.
const PAUSE: Duration = Duration::from_millis(20);

/// What a container saw.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct ContainerReport {
    /// Times the engine was killed for its memory.
    pub oom_kills: u64,
    /// Times the engine was started again, for whatever reason.
    pub restarts: u64,
    /// Largest resident memory in bytes.
    pub memory_bytes_peak: u64,
}

/// A container, watching. Dropping it ends the watch.
#[derive(Debug)]
pub struct Container {
    stop: oneshot::Sender<()>,
    watcher: JoinHandle<ContainerReport>,
}

impl Container {
    /// Starts to watch the engine that `state` tells of.
    #[must_use]
    pub fn watch(state: watch::Receiver<EngineState>, memory_bytes_max: u64) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, watcher: tokio::spawn(watch_memory(state, memory_bytes_max, stopped)) }
    }

    /// Ends the watch and says what it saw.
    pub async fn end(self) -> ContainerReport {
        // A watcher that has ended has nothing to stop.
        let _ = self.stop.send(());
        self.watcher.await.unwrap_or_default()
    }
}

async fn watch_memory(
    state: watch::Receiver<EngineState>,
    memory_bytes_max: u64,
    mut stopped: oneshot::Receiver<()>,
) -> ContainerReport {
    let mut report = ContainerReport::default();
    let (mut killed, mut running) = (None, None);
    loop {
        tokio::select! {
            _ = &mut stopped => return report,
            () = tokio::time::sleep(PAUSE) => {}
        }
        let EngineState::Running { pid, .. } = *state.borrow() else { continue };
        if running.replace(pid).is_some_and(|before| before != pid) {
            report.restarts += 1;
        }
        let Some(memory_bytes) = resident_bytes(pid) else { continue };
        report.memory_bytes_peak = report.memory_bytes_peak.max(memory_bytes);
        if memory_bytes > memory_bytes_max && killed != Some(pid) {
            let Ok(signed) = i32::try_from(pid) else { continue };
            // SAFETY: plain system call; the process is our child, and a dead one answers with an error.
            unsafe { libc::kill(signed, libc::SIGKILL) };
            killed = Some(pid);
            report.oom_kills += 1;
        }
    }
}

/// Resident memory of a process in bytes, from `/proc/PID/statm` (proc(5): second field, in pages).
fn resident_bytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    // SAFETY: asks for a constant of the system.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page_bytes).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 1_000_000));
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
