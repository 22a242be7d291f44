//! The way in: an HTTP proxy in front of ClickHouse that looks at each query, asks the gate, and streams both ways. Clients
//! speak ClickHouse's HTTP interface to it, unchanged.
//!
//! A query's way is `query.rs`. Only the text of a query is ever held in memory, never data: of a body the beginning is
//! read (1 MiB at most, 64 KiB of an INSERT), answers pass piece by piece.

mod access;
mod admin;
mod answer;
mod body;
mod collapse;
mod comment;
mod credentials;
mod encoded;
mod estimate_text;
mod estimates;
mod gatekeeper;
mod headers;
mod last_words;
mod late_ends;
mod leavers;
mod multipart;
mod parameters;
mod peers;
mod plain;
mod points;
mod query;
mod query_id;
mod refused;
mod server;
mod shared;
mod stalled;
mod statement;
mod steady_clock;
mod upstream;
mod view;
mod watched;
mod watching;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use admin::{BlockRequest, SafeModeRequest, Status, StatusQuery, UnblockRequest, is_sql_fingerprint};
pub use estimates::EstimateSource;
pub use view::{GuardLook, GuardView};

use crate::client_tls;
use crate::config::{Secret, SecretFileError};
use crate::guard::gate::{Gate, GateInput, GateStatus};
use crate::guard::policy::{GuardPolicy, ServerAccessError};
use crate::guard::sql;
use crate::guard::watch::WatchError;
use crate::metrics::Metrics;
use crate::store::ClickHouse;
use gatekeeper::Gatekeeper;
use shared::Shared;

/// How often the gate hears that time passes.
const TICK: Duration = Duration::from_millis(100);
/// A statement of the guard's own without an answer for this long has failed.
const OWN_TIMEOUT: Duration = Duration::from_secs(10);
/// Server memory limit S where neither policy nor server name one: the gate's shares are of something.
const MEMORY_BYTES_UNKNOWN: u64 = 8 << 30;

/// Cores of a server that does not say how many it has.
const CORES_UNKNOWN: u32 = 2;

/// The proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// A file of a secret cannot be read.
    #[error("{0}: {1}")]
    Secret(&'static str, SecretFileError),
    /// An address of the policy is not one, or is in use.
    #[error("cannot listen on {address} ({key}): {source}")]
    Listen {
        /// Key of the policy.
        key: &'static str,
        /// As written there.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// Operators would be answered from everywhere without a token.
    #[error("proxy.admin_listen: {0} is not loopback, so proxy.admin_token_file is needed")]
    OpenAdmin(SocketAddr),
    /// The server's address cannot be used.
    #[error("server.url: {0}")]
    Server(String),
    /// Another proxy has the directory, or the disk refuses.
    #[error("black_box.directory {0}: {1} (two proxies need a directory each)")]
    Directory(String, std::io::Error),
    /// Black box and watchdog cannot start.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// A file that says how to reach the server cannot be used.
    #[error(transparent)]
    Access(#[from] ServerAccessError),
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    listen: SocketAddr,
    admin_listen: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

#[derive(Debug, Deserialize)]
struct LimitsRow {
    bytes: String,
    cores: String,
}

impl Proxy {
    /// A look at it, for as long as anybody wants.
    #[must_use]
    pub fn view(&self) -> GuardView {
        GuardView::new(Arc::clone(&self.shared))
    }

    /// Starts listening. ClickHouse may be away; its clients are told so until it is there.
    ///
    /// # Errors
    /// See [`ProxyError`].
    pub async fn start(policy: GuardPolicy, metrics: Arc<Metrics>) -> Result<Self, ProxyError> {
        let tls = client_tls::client_config(policy.server.ca_file.as_deref()).map_err(ServerAccessError::from)?;
        let upstream =
            upstream::Upstream::new(&policy.server.url, tls).map_err(|error| ProxyError::Server(error.to_string()))?;
        // The guard's own connection: it kills, and asks what only its user may.
        let client = ClickHouse::new(&policy.endpoint(OWN_TIMEOUT)?);
        let token = Secret::resolve(None, policy.proxy.admin_token_file.as_deref())
            .map_err(|error| ProxyError::Secret("proxy.admin_token_file", error))?;
        let (listener, listen) = bind("proxy.listen", &policy.proxy.listen).await?;
        let (admin_listener, admin_listen) = bind("proxy.admin_listen", &policy.proxy.admin_listen).await?;
        if token.is_none() && !admin_listen.ip().is_loopback() {
            return Err(ProxyError::OpenAdmin(admin_listen));
        }
        let (limit_bytes, cores) = limits(&policy, &client).await;
        let directory = policy.black_box.directory.clone();
        let lock = watching::take(&directory)
            .map_err(|error| ProxyError::Directory(directory.display().to_string(), error))?;
        let gate = Gate::restore(policy.clone(), limit_bytes, watching::restored(&directory)).with_cores(cores);
        let gatekeeper = Arc::new(Gatekeeper::new(gate, Arc::clone(&metrics)));
        let (watch, tripped) = watching::watch_beside(&policy, Arc::clone(&metrics))?;
        let (leavers, leavers_receiver) = leavers::Leavers::new(Arc::clone(&metrics));
        let (late_ends, late_ends_receiver) = late_ends::LateEnds::new();
        let shared = Arc::new(Shared {
            upstream,
            tenants: credentials::Tenants::of(&policy).map_err(|error| ProxyError::Secret("tenants", error))?,
            snapshots: Arc::new(watching::Snapshots::new(directory, Arc::clone(&gatekeeper))),
            gatekeeper,
            accesses: access::Accesses::default(),
            estimates: Arc::new(estimates::Estimates::new()),
            collapse: Arc::default(),
            leavers: Arc::new(leavers),
            late_ends: Arc::new(late_ends),
            metrics,
            enforces: policy.proxy.enforce,
            collapses: policy.proxy.collapse_identical,
            long_texts: Arc::new(tokio::sync::Semaphore::new(query::LONG_TEXTS_AT_ONCE_MAX)),
            policy,
            workloads: std::sync::RwLock::default(),
        });
        let (stop, stop_helpers) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        let helpers = stop_helpers.clone();
        let serving = server::serve(listener, Arc::clone(&shared), stop.clone());
        tasks.spawn(async move {
            serving.await;
            // Those that queries under way need end after them.
            helpers.cancel();
        });
        let admin = admin::serve(admin_listener, Arc::clone(&shared), token, stop_helpers.clone());
        tasks.spawn(async move {
            if let Err(error) = admin.await {
                tracing::error!(%error, "the operators' listener failed");
            }
        });
        tasks.spawn(leavers::run(
            client.clone(),
            Arc::clone(&shared.gatekeeper),
            leavers_receiver,
            stop_helpers.clone(),
        ));
        tasks.spawn(late_ends::run(
            client.clone(),
            Arc::clone(&shared.gatekeeper),
            Arc::clone(&shared.estimates),
            late_ends_receiver,
            stop_helpers.clone(),
        ));
        let (of_workloads, stop_workloads) = (Arc::clone(&shared), stop_helpers.clone());
        tasks.spawn(async move { of_workloads.watch_workloads(client, stop_workloads).await });
        tasks.spawn(tick(Arc::clone(&shared), stop_helpers.clone()));
        tasks.spawn(watching::watched(watch, tripped, Arc::clone(&shared.gatekeeper), stop_helpers.clone()));
        tasks.spawn(watching::keep_snapshots(Arc::clone(&shared.snapshots), lock, stop_helpers));
        Ok(Self { listen, admin_listen, shared, stop, tasks })
    }

    /// Where clients come in.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where operators do.
    #[must_use]
    pub fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    /// Tells the gate what happened outside the proxy, as the watchdog sees it.
    pub fn tell(&self, input: GateInput) {
        self.shared.gatekeeper.tell(input);
    }

    /// How its gate is.
    #[must_use]
    pub fn status(&self) -> GateStatus {
        self.shared.gatekeeper.status()
    }

    /// Stops taking connections, lets the queries under way end, and returns.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn tick(shared: Arc<Shared>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => shared.gatekeeper.tell(GateInput::Tick),
        }
    }
}

/// The server's memory limit S and its cores. The watch tells the gate a limit that becomes known later.
async fn limits(policy: &GuardPolicy, client: &ClickHouse) -> (u64, u32) {
    let rows = client.fetch::<LimitsRow>(sql::LIMITS, &[]).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the server's limits are not known yet");
        Vec::new()
    });
    let row = rows.first();
    let told = row.and_then(|row| row.bytes.parse().ok()).filter(|bytes| *bytes > 0);
    let written = policy.server.memory_bytes_max.map(|bytes| bytes.0.as_u64());
    let bytes = written.or(told).unwrap_or_else(|| {
        tracing::warn!(bytes = MEMORY_BYTES_UNKNOWN, "no memory limit is known: set server.memory_bytes_max");
        MEMORY_BYTES_UNKNOWN
    });
    (bytes, row.and_then(|row| row.cores.parse().ok()).unwrap_or(CORES_UNKNOWN))
}

async fn bind(key: &'static str, address: &str) -> Result<(TcpListener, SocketAddr), ProxyError> {
    let failed = |source| ProxyError::Listen { key, address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
