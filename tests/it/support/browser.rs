//! A real browser without a window: Chromium, driven over a pipe by its own debugging protocol (JSON, a zero byte between).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long the browser may take for anything; starting it on a busy machine is the longest.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the browser says before anybody reads it; far more than a page makes.
const MESSAGES_BOUND: usize = 65_536;

/// Standard input and output become the descriptors 3 and 4, which the protocol uses.
const SCRIPT: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null";

const FLAGS: [&str; 12] = [
    "--headless=new",
    "--remote-debugging-pipe",
    // Tests may run as root, in a container.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
];

/// A browser with one page. Dropping it ends it.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    calls: u64,
    /// What happened on the page and was not looked at yet.
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts Chromium (Debian's package `chromium`).
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "chromium"])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = sync_channel(MESSAGES_BOUND);
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
            }
        });
        let session = String::new();
        let mut browser = Self { child, input, messages, session, calls: 0, events: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.screen(1280, 900);
        browser
    }

    /// A call of the protocol and its answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.input.write_all(message.to_string().as_bytes()).unwrap();
        self.input.write_all(&[0]).unwrap();
        self.input.flush().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.message(method, deadline);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn message(&mut self, what: &str, deadline: Instant) -> Value {
        match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("the browser did not answer within {PATIENCE:?}: {what}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the browser is gone (is `chromium` installed?): {what}"),
        }
    }

    /// Opens an address and waits until all of it is there.
    pub fn open(&mut self, url: &str) {
        let loads = self.loads();
        let answer = self.call("Page.navigate", json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.until_loaded(loads, url);
    }

    /// Clicks what a selector names, and waits until the page it leads to is there.
    pub fn follow(&mut self, selector: &str) {
        let loads = self.loads();
        let found = self.eval(&format!("(e => (e && e.click(), !!e))(document.querySelector({}))", json!(selector)));
        assert_eq!(found, true, "nothing is {selector}");
        self.until_loaded(loads, selector);
    }

    fn loads(&self) -> usize {
        self.events.iter().filter(|event| event["method"] == "Page.loadEventFired").count()
    }

    fn until_loaded(&mut self, before: usize, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.loads() <= before {
            let message = self.message(what, deadline);
            self.events.push(message);
        }
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The text of what a selector names.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({})?.innerText ?? null", json!(selector)));
        text.as_str().unwrap_or_else(|| panic!("nothing is {selector}")).to_owned()
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "ArrowLeft" => 37,
            _ => panic!("{key} has no code here"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" && kind == "keyDown" { "\r" } else { "" };
            let params = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// What axe finds on the page that keeps people out, serious or worse: rule, and the elements.
    pub fn barriers(&mut self) -> Vec<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".local/engines/axe.min.js");
        let script = std::fs::read_to_string(script).expect("`make engines` fetches axe");
        // Not through the page: its policy lets in no script but its own.
        self.call("Runtime.evaluate", json!({"expression": script}));
        let found = self.eval(
            "axe.run().then(r => r.violations.filter(v => ['serious', 'critical'].includes(v.impact))
                .map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' | ')))",
        );
        found.as_array().unwrap().iter().map(ToString::to_string).collect()
    }

    /// The size of the screen.
    pub fn screen(&mut self, width: u32, height: u32) {
        let is_phone = width < 500;
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    /// What the system prefers: `dark` or `light`.
    pub fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Whether scripts of pages run from the next page on.
    pub fn allow_scripts(&mut self, allowed: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !allowed}));
    }

    /// A picture of what is on the screen, as PNG.
    pub fn save_picture(&mut self, path: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let bytes = base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What went wrong since the last look: errors in the console, exceptions, and requests that leave `base`.
    pub fn troubles(&mut self, base: &str) -> Vec<String> {
        // An answer to this has all that came before it.
        self.eval("0");
        let events: Vec<Value> = std::mem::take(&mut self.events);
        events.iter().filter_map(|event| trouble(event, base)).collect()
    }
}

fn trouble(event: &Value, base: &str) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("exception: {}", params["exceptionDetails"])),
        "Runtime.consoleAPICalled" if params["type"] == "error" => Some(format!("console: {}", params["args"])),
        "Log.entryAdded" if params["entry"]["level"] == "error" => Some(format!("log: {}", params["entry"])),
        "Network.requestWillBeSent" => {
            let url = params["request"]["url"].as_str()?;
            // The browser draws its own controls with `data:`.
            let is_own = url.starts_with(base) || url == "about:blank" || url.starts_with("data:");
            (!is_own).then(|| format!("a request leaves: {url}"))
        }
        _ => None,
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
