//! A real Redis of its own for each test, on a free port and in a directory of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::service::until;

/// A running `redis-server`. It ends with the test.
pub struct TestRedis {
    pub address: String,
    arguments: Vec<String>,
    directory: tempfile::TempDir,
    child: Child,
}

impl TestRedis {
    /// Starts it with further arguments (`--maxmemory 3mb`) and waits until it answers.
    pub async fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let child = spawn(port, &arguments, directory.path());
        let mut redis = Self { address: format!("127.0.0.1:{port}"), arguments, directory, child };
        redis.wait().await;
        redis
    }

    /// Ends it at once, as the kernel would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again at the same address, empty.
    pub async fn start_again(&mut self) {
        let port = self.address.rsplit_once(':').unwrap().1.parse().unwrap();
        self.child = spawn(port, &self.arguments, self.directory.path());
        self.wait().await;
    }

    async fn wait(&mut self) {
        until("redis-server answers", async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                let said = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                panic!("redis-server ended: {status}: {said}");
            }
            TcpStream::connect(&self.address).ok()
        })
        .await;
    }

    /// Runs commands one after the other, each a line; gives the replies as they came.
    pub fn run(&self, lines: &[String]) -> String {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut text = lines.join("\r\n");
        text.push_str("\r\nQUIT\r\n");
        let mut writer = connection.try_clone().unwrap();
        let written = std::thread::spawn(move || writer.write_all(text.as_bytes()));
        let mut replies = String::new();
        connection.read_to_string(&mut replies).unwrap();
        written.join().unwrap().unwrap();
        replies
    }
}

fn spawn(port: u16, arguments: &[String], directory: &std::path::Path) -> Child {
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).stdout(log).stderr(Stdio::inherit());
    command.spawn().unwrap_or_else(|error| {
        panic!("cannot start redis-server ({error}): install Debian's package redis-server, or Redis from elsewhere")
    })
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
