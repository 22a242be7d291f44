//! Limits as gateways read them: NGINX itself takes the file, and refuses what our own limiter refuses.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use floodmark::limits::{Algorithm, Question, SourceKind, WhatIf};
use floodmark::model::{Request, Text, Timestamp};
use reqwest::StatusCode;

use crate::cli_contract::floodmark;
use crate::http::client;
use crate::support::service::until;

/// NGINX as Debian installs it, or wherever it is found.
fn nginx(directory: &Path, arguments: &[&str]) -> Command {
    let debian = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if debian.exists() { debian } else { Path::new("nginx") });
    command.args(["-p", directory.to_str().unwrap(), "-e", "stderr", "-c", "nginx.conf"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn started(mut command: Command) -> Child {
    command.spawn().unwrap_or_else(|error| panic!("cannot start nginx ({error}): install Debian's package nginx-light"))
}

/// A server that includes `limits` and answers 200 to everything.
fn configuration(directory: &Path, limits: &str, port: u16) {
    std::fs::write(directory.join("limits.conf"), limits).unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {name};\n"))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{ }}\nhttp {{\n  access_log off;\n{temporary}  include \
         limits.conf;\n  server {{\n    listen 127.0.0.1:{port};\n    location / {{ empty_gif; }}\n    location /named {{ set \
         $floodmark_route CreateProfile; empty_gif; }}\n  }}\n}}\n"
    );
    std::fs::write(directory.join("nginx.conf"), text).unwrap();
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn exported(arguments: &[&str]) -> String {
    let output = floodmark().args(["limits", "export", "--format", "nginx"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn accepts(directory: &Path, limits: &str) -> Result<(), String> {
    configuration(directory, limits, free_port());
    let mut command = nginx(directory, &["-t"]);
    command.stderr(Stdio::piped());
    let output = started(command).wait_with_output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn nginx_takes_what_is_written_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = ["--path", "StartProfile=POST /v1/profiles/{id}/start"];
    for arguments in [&[][..], &path[..], &["--dry-run", "--burst", "20", "--header", "x-api-client"][..]] {
        assert_eq!(accepts(directory.path(), &exported(arguments)), Ok(()), "{arguments:?}");
    }
    let broken = exported(&[]).replace("rate=1200r/m", "rate=often");
    assert!(accepts(directory.path(), &broken).is_err_and(|said| said.contains("invalid rate")));
}

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn nginx_refuses_what_our_limiter_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let limits = directory.path().join("limits.toml");
    let routes = "routes = ['StartProfile', 'CreateProfile']";
    std::fs::write(&limits, format!("[[limits]]\nname = 'start'\n{routes}\nrequests = 1\nper = '1h'\n")).unwrap();
    let path = ["--path", "StartProfile=/v1/profiles/{id}/start"];
    let mut text = exported(&[&["--limits", limits.to_str().unwrap(), "--burst", "3"], &path[..]].concat());
    // One an hour is written as one a minute, the slowest that NGINX knows: the file says so.
    assert!(text.contains("rate=1r/m") && text.contains("1 requests in 1h of start"), "{text}");
    text = text.replace(":10m", ":1m");
    let port = free_port();
    configuration(directory.path(), &text, port);
    let _nginx = Nginx(started(nginx(directory.path(), &[])));
    let (client, url) = (client(), format!("http://127.0.0.1:{port}"));
    until("nginx answers", async || client.get(&url).send().await.ok()).await;
    let status = async |path: &str, subscription: Option<&str>| {
        let request = client.get(format!("{url}{path}"));
        let request = subscription.iter().fold(request, |request, name| request.header("x-subscription", *name));
        request.send().await.unwrap().status()
    };
    let mut passed = Vec::new();
    for number in 0..6 {
        // Two routes of one limit are counted together.
        let path = if number % 2 == 0 { "/v1/profiles/7/start" } else { "/named" };
        passed.push(status(path, Some("a")).await == StatusCode::OK);
    }
    assert_eq!(passed, [true, true, true, true, false, false]);
    assert_eq!(status("/named", Some("a")).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status("/named", Some("b")).await, StatusCode::OK, "another subscription");
    assert_eq!(status("/v1/profiles/7/stop", Some("a")).await, StatusCode::OK, "another route");
    assert_eq!(status("/named", None).await, StatusCode::OK, "nobody to count for");

    let question =
        Question { limit: "1/min".to_owned(), algorithm: Algorithm::Gcra, burst: Some(3), ..Question::default() };
    let mut what_if = WhatIf::new(&question.spec().unwrap(), SourceKind::Files, Vec::new());
    for ms in 0..6 {
        let timestamp = Timestamp::MIN.plus(ms);
        what_if.apply(&Request { timestamp, subscription: Text::from("a"), status: 200, ..Request::default() });
    }
    let refused = passed.iter().filter(|passed| !**passed).count() as u64;
    assert_eq!(what_if.finish("").traffic.throttled, refused);
}
