//! A real Alertmanager, whose own webhook leads to the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::service::{signal, until};

/// Where it is, and has to be started, because of its templates. It is required: a test without it fails, it is not skipped.
fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".local/engines/alertmanager")
}

/// A running Alertmanager. Dropping it kills it; its files stay for the next start.
pub struct Alertmanager {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
    client: reqwest::Client,
}

impl Alertmanager {
    /// Groups by alert name, and tells `webhook_url` soon.
    pub async fn start(webhook_url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "route: {{receiver: test, group_by: [alertname], group_wait: 500ms, group_interval: 500ms, repeat_interval: 1h}}\n\
             receivers: [{{name: test, webhook_configs: [{{url: '{webhook_url}', send_resolved: true}}]}}]\n"
        );
        std::fs::write(directory.path().join("alertmanager.yml"), config).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(directory.path(), port);
        let this = Self { child, port, directory, client: crate::http::client() };
        this.until_ready().await;
        this
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops it as a restart does: it writes down what it has told.
    pub async fn stop(&mut self) {
        signal(self.child.id(), libc::SIGTERM);
        let child = &mut self.child;
        until("Alertmanager ends", async || child.try_wait().unwrap()).await;
    }

    /// Starts it again, on the same port with the same files.
    pub async fn start_again(&mut self) {
        self.child = spawn(self.directory.path(), self.port);
        self.until_ready().await;
    }

    /// Its alerts that are active.
    pub async fn alerts(&self) -> Vec<Value> {
        let url = format!("{}/api/v2/alerts?active=true", self.url());
        let response = self.client.get(url).send().await.unwrap();
        response.json::<Vec<Value>>().await.unwrap()
    }

    /// A counter of its own.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.client.get(format!("{}/metrics", self.url())).send().await.unwrap().text().await.unwrap();
        let values = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    async fn until_ready(&self) {
        let url = format!("{}/-/ready", self.url());
        until("Alertmanager is ready", async || {
            self.client.get(&url).send().await.ok().filter(|response| response.status().is_success())
        })
        .await;
    }
}

fn spawn(directory: &Path, port: u16) -> Child {
    let binary = home().join("prometheus-alertmanager");
    assert!(binary.is_file(), "{} is missing: `make engines` fetches it", binary.display());
    let flag = |name: &str, value: &dyn std::fmt::Display| format!("--{name}={value}");
    let arguments = [
        flag("config.file", &directory.join("alertmanager.yml").display()),
        flag("storage.path", &directory.join("data").display()),
        flag("web.listen-address", &format!("127.0.0.1:{port}")),
        // No cluster: there is one.
        flag("cluster.listen-address", &""),
        flag("log.level", &"warn"),
    ];
    let mut command = Command::new(binary);
    command.args(arguments).current_dir(home()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
