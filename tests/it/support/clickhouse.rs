//! One real ClickHouse for all tests of this binary, a fresh database for each.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use floodmark::local::{Credentials, LocalClickHouse, LocalClickHouseOptions, Users};
use floodmark::store::{ClickHouse, Endpoint};

/// A database name that starts like this may be used by `writer` and `reader` in tests.
const DATABASE_PREFIX: &str = "t_";

/// The engine that all tests share. It ends with this process: its standard input closes.
pub struct SharedEngine {
    pub url: String,
    pub users: Users,
}

/// Options for an engine of a test's own in `directory`.
pub fn options(directory: &Path) -> LocalClickHouseOptions {
    LocalClickHouseOptions {
        program: env!("CARGO_BIN_EXE_floodmark").into(),
        shared_library: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".local/engines/libchdb.so"),
        directory: directory.to_owned(),
        memory_bytes_max: 2 << 30,
        databases: format!("{DATABASE_PREFIX}*"),
        guard: None,
        start_timeout: Duration::from_secs(60),
        stop_timeout: Duration::from_secs(30),
    }
}

/// The shared engine, started by whoever asks first.
pub fn shared_engine() -> &'static SharedEngine {
    static ENGINE: OnceLock<SharedEngine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clickhouse");
        remove_directories_of_ended_processes(&root);
        let directory = root.join(std::process::id().to_string());
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        // The engine's supervisor needs a runtime that outlives each test's own.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let engine = LocalClickHouse::start(options(&directory)).await.unwrap();
                sender.send(SharedEngine { url: engine.url().to_owned(), users: engine.users().clone() }).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().expect("the shared engine starts: `make engines` fetches it")
    })
}

/// Nothing runs when a test binary ends, so the next run tidies up after it.
fn remove_directories_of_ended_processes(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let process = Path::new("/proc").join(entry.file_name());
        if !process.exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A database of one test, empty.
pub struct TestDatabase {
    pub name: String,
    pub admin: ClickHouse,
    pub writer: ClickHouse,
    pub reader: ClickHouse,
}

/// Makes a database for the calling test.
pub async fn fresh_database() -> TestDatabase {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{DATABASE_PREFIX}{}_{number}", std::process::id());
    let engine = shared_engine();
    let client = |credentials: &Credentials| client(&engine.url, credentials, &name);
    TestDatabase {
        admin: client(&engine.users.admin),
        writer: client(&engine.users.writer),
        reader: client(&engine.users.reader),
        name,
    }
}

/// A client of an engine.
pub fn client(url: &str, credentials: &Credentials, database: &str) -> ClickHouse {
    ClickHouse::new(&Endpoint {
        url: url.to_owned(),
        database: database.to_owned(),
        user: credentials.user.to_owned(),
        password: floodmark::config::Secret::new(credentials.password.as_str()),
        timeout: Duration::from_secs(60),
        tls: None,
    })
}
