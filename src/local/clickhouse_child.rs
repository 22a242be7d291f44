//! One run of the engine: start the child process, wait until it listens, stop it.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};

use super::LocalError;
use super::clickhouse_files::EngineDirectory;

/// How often the port file is looked for.
const PORT_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running engine. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct EngineChild {
    child: Child,
    /// Closing it is the engine's clean shutdown; the engine also ends when this process dies.
    stdin: Option<ChildStdin>,
    pub(super) pid: u32,
    pub(super) port: u16,
}

/// What to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch<'a> {
    /// This binary: it has the hidden subcommand.
    pub(super) program: &'a Path,
    pub(super) shared_library: &'a Path,
    /// 0 lets the kernel choose.
    pub(super) port: u16,
    pub(super) start_timeout: Duration,
}

impl EngineChild {
    /// Starts the engine and waits until it listens.
    pub(super) async fn start(launch: Launch<'_>, directory: &EngineDirectory) -> Result<Self, LocalError> {
        directory.forget_port()?;
        let mut child = spawn(launch, directory)?;
        let stdin = child.stdin.take();
        let listening = tokio::time::timeout(launch.start_timeout, wait_for_port(&mut child, directory)).await;
        let not_listening =
            |_| LocalError::NotListening { waited: launch.start_timeout, stderr: directory.stderr_tail() };
        let port = listening.map_err(not_listening)??;
        // A child that has just been seen running has an id; 0 is never one.
        let pid = child.id().unwrap_or(0);
        Ok(Self { child, stdin, pid, port })
    }

    /// Waits until the process has ended. The exit status says nothing: it is 0 after a failure as well.
    pub(super) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Closes the engine's standard input and waits for it to end; kills it at `timeout`.
    pub(super) async fn stop(mut self, timeout: Duration) -> Result<(), LocalError> {
        drop(self.stdin.take());
        if tokio::time::timeout(timeout, self.child.wait()).await.is_ok() {
            return Ok(());
        }
        // It may have ended in between; then there is nothing to kill and nothing to say about it.
        let _ = self.child.kill().await;
        Err(LocalError::StopTimedOut(timeout))
    }
}

fn spawn(launch: Launch<'_>, directory: &EngineDirectory) -> Result<Child, LocalError> {
    let stderr = directory.create_stderr()?;
    Command::new(launch.program)
        .arg("engine-clickhouse")
        .arg("--shared-library")
        .arg(launch.shared_library)
        .arg("--")
        .arg("--config-file")
        .arg(directory.config_path())
        .arg("--path")
        .arg(directory.data_path())
        .args(["--listen_host", "127.0.0.1", "--http_port", &launch.port.to_string(), "--query"])
        .arg(start_statements(&directory.port_path()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(stderr)
        // A group of its own: Ctrl-C on a terminal would otherwise kill the engine at once, uncleanly, before the
        // service has flushed its last batches.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| LocalError::Spawn { program: launch.program.to_owned(), source })
}

/// Opens the listener, tells the port, then blocks on standard input until it is closed.
fn start_statements(port_path: &Path) -> String {
    let port_path = port_path.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
    format!(
        "SYSTEM START LISTEN HTTP;
         SELECT getServerPort('http_port') INTO OUTFILE '{port_path}' TRUNCATE FORMAT TSVRaw;
         SELECT count() FROM file('/dev/stdin', LineAsString, 'l String') FORMAT Null"
    )
}

async fn wait_for_port(child: &mut Child, directory: &EngineDirectory) -> Result<u16, LocalError> {
    let mut poll = tokio::time::interval(PORT_POLL_INTERVAL);
    loop {
        tokio::select! {
            _ = child.wait() => return Err(LocalError::EndedEarly(directory.stderr_tail())),
            _ = poll.tick() => {
                if let Some(port) = directory.read_port() {
                    return Ok(port);
                }
            }
        }
    }
}
