//! chproxy beside the guard's proxy, when `benches/peers/build.sh chproxy` has built it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{RunningProxy, Server, free_address, wait_for};

/// Starts chproxy in front of the engine, with one user and no limits: nothing but passing on. Nothing when it is not built.
pub async fn start(
    server: &Server,
    directory: &Path,
) -> Result<Option<(RunningProxy, String)>, Box<dyn std::error::Error>> {
    let binary = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".local/peers/chproxy/chproxy");
    if !binary.is_file() {
        println!("chproxy is not built and not measured: benches/peers/build.sh chproxy");
        return Ok(None);
    }
    let listen = free_address()?;
    let (user, password) = (server.reader.user, &server.reader.password);
    let node = server.url().trim_start_matches("http://").trim_end_matches('/');
    let text = format!(
        "server:\n  http:\n    listen_addr: \"{listen}\"\n    allowed_networks: [\"127.0.0.0/8\"]\n\
         users:\n  - name: \"{user}\"\n    password: \"{password}\"\n    to_cluster: \"engine\"\n    to_user: \"{user}\"\n\
         clusters:\n  - name: \"engine\"\n    nodes: [\"{node}\"]\n    users:\n      - name: \"{user}\"\n        password: \"{password}\"\n"
    );
    let config = directory.join("chproxy.yml");
    std::fs::write(&config, text)?;
    let log_path = directory.join("chproxy.log");
    let log = std::fs::File::create(&log_path)?;
    let mut command = Command::new(binary);
    command.arg("-config").arg(&config).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let running = RunningProxy(command.spawn()?);
    wait_for(listen, &log_path).await?;
    Ok(Some((running, listen.to_string())))
}
