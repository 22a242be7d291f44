//! The guard's proxy in front of the shared engine.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use floodmark::guard::policy::GuardPolicy;
use floodmark::guard::proxy::Proxy;
use floodmark::local::Credentials;
use floodmark::metrics::Metrics;

use super::clickhouse::{SharedEngine, shared_engine};

/// Wide enough for all that the tests ask at once.
const CLASSES: &str = "[classes.ad_hoc]\nslots = 16\n[classes.ingest]\nwrites = true\n[classes.dashboard]\nslots = 8\n";

/// A proxy for one test.
pub struct Guarded {
    pub proxy: Proxy,
    pub metrics: Arc<Metrics>,
    pub url: String,
    pub engine: &'static SharedEngine,
    _directory: tempfile::TempDir,
}

/// Starts a proxy. `further` is more of its policy.
pub async fn start(enforce: bool, further: &str) -> Guarded {
    let engine = shared_engine();
    start_before(&format!("url = \"{}\"", engine.url), enforce, further).await
}

/// Starts a proxy that reaches the engine as `server` says: keys of the policy's section.
pub async fn start_before(server: &str, enforce: bool, further: &str) -> Guarded {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let engine = shared_engine();
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "[black_box]\ndirectory = \"{}\"\n{CLASSES}[server]\n{server}\nuser = \"admin\"\npassword = \"{}\"\nmemory_bytes_max = \"2GiB\"\n\
         [proxy]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nenforce = {enforce}\n{further}",
        directory.path().display(),
        engine.users.admin.password
    );
    let metrics = Arc::new(Metrics::new());
    let proxy = Proxy::start(GuardPolicy::parse(&text).unwrap(), Arc::clone(&metrics)).await.unwrap();
    let url = format!("http://{}", proxy.listen());
    Guarded { proxy, metrics, url, engine, _directory: directory }
}

impl Guarded {
    /// A series of the metrics: its value.
    pub fn metric(&self, series: &str) -> u64 {
        let text = self.metrics.encode(floodmark::clock::now());
        let line = text.lines().find(|line| line.split(' ').next() == Some(series));
        line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_else(|| panic!("no {series} in {text}"))
    }
}

/// An answer to `curl`.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
    /// Exit code of `curl`: not 0 when the answer broke off.
    pub exit: i32,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Value of a header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        value.unwrap_or_default()
    }
}

/// Asks with `curl` as a user, with `body` on its standard input where an argument says `@-`.
pub async fn curl(credentials: Option<&Credentials>, arguments: &[&str], body: &[u8]) -> Answer {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "60", "-D", "/dev/stderr"]);
    if let Some(credentials) = credentials {
        command.args(["-u", &format!("{}:{}", credentials.user, credentials.password)]);
    }
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let body = body.to_vec();
    let output: Output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("curl is there (Debian: apt-get install curl)");
        let mut input = child.stdin.take().unwrap();
        // A server that refuses early does not read everything.
        let writer = std::thread::spawn(move || drop(input.write_all(&body)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    })
    .await
    .unwrap();
    let headers = String::from_utf8_lossy(&output.stderr).into_owned();
    // The last head: those before are of `100 Continue`.
    let status = headers.lines().rev().find_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let exit = output.status.code().unwrap_or(-1);
    Answer { status: status.unwrap_or(0), headers, body: output.stdout, exit }
}

/// Waits until a condition holds.
pub async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
