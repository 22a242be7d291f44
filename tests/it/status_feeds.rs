//! What the status page tells machines is what they know how to read: the Statuspage API v2 by its shapes and by two clients
//! of other people, feeds by feedparser, the badge by a browser.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use floodmark::status::render::{PublicFile, public_files};
use floodmark::status::{Board, ComponentState};
use serde_json::{Value, json};

use crate::openapi::python;
use crate::support::browser::Browser;
use crate::support::status_boards::{HOSTILE, board, nothing_known, situations, well};

/// Every endpoint with the name of its shape.
const ENDPOINTS: [(&str, &str); 8] = [
    ("summary", "summary"),
    ("status", "status_document"),
    ("components", "components"),
    ("incidents", "incidents"),
    ("incidents/unresolved", "incidents"),
    ("scheduled-maintenances", "scheduled-maintenances"),
    ("scheduled-maintenances/upcoming", "scheduled-maintenances"),
    ("scheduled-maintenances/active", "scheduled-maintenances"),
];

/// Reads `{"schema", "documents": [{"what", "shape", "body"}]}` and says of each document what does not fit.
const VALIDATOR: &str = r##"
import json, sys
from jsonschema import Draft202012Validator
given = json.load(sys.stdin)
Draft202012Validator.check_schema(given["schema"])
said = []
for document in given["documents"]:
    schema = {**given["schema"], "$ref": f"#/$defs/{document['shape']}"}
    errors = Draft202012Validator(schema).iter_errors(document["body"])
    said.append([f"{document['what']}: {error.json_path}: {error.message[:200]}" for error in errors])
print(json.dumps(said))
"##;

/// Two clients of the API, as they are published; only the address is ours. The exporter has it in a file, statuscheck's
/// services in a method.
const CLIENTS: &str = r##"
import json, os, sys, tempfile
url = json.load(sys.stdin)["url"]
os.chdir(tempfile.mkdtemp())
with open("services.json", "w") as file:
    json.dump({"acme": {"url": url + "/api/v2/summary.json"}}, file)
from statuspage_prometheus_exporter.service_checker import SERVICES, check_service_status
from statuscheck.services.bases._statuspageio import BaseStatusPageAPI
class Acme(BaseStatusPageAPI):
    name = "Acme"
    def _get_base_url(self):
        return url + "/api/v2/"
exporter = check_service_status("acme", SERVICES["acme"])
del exporter["response_time"]
print(json.dumps({"exporter": exporter, "statuscheck": Acme().get_summary().as_dict()}))
"##;

/// Reads both feeds, and the text of their contents as a reader would show it.
const FEEDS: &str = r##"
import calendar, feedparser, html.parser, json, sys
url = json.load(sys.stdin)["url"]
class Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.text = ""
    def handle_data(self, data):
        self.text += data
def text(content):
    parser = Text()
    parser.feed(content)
    parser.close()
    return parser.text
told = {}
for name in ["history.atom", "history.rss"]:
    feed = feedparser.parse(f"{url}/{name}", sanitize_html=False)
    told[name] = {
        "bozo": feed.bozo, "error": repr(feed.get("bozo_exception")), "version": feed.version, "title": feed.feed.title,
        "status": feed.status,
        "entries": [{
            "id": entry.id, "title": entry.title, "link": entry.link,
            "published": calendar.timegm(entry.published_parsed), "updated": calendar.timegm(entry.updated_parsed),
            "text": text(entry.content[0].value if "content" in entry else entry.summary),
        } for entry in feed.entries],
    }
print(json.dumps(told))
"##;

/// Serves files as any web host does.
async fn serve(board: &Board) -> String {
    type Files = HashMap<String, PublicFile>;
    async fn answer(State(files): State<std::sync::Arc<Files>>, uri: Uri) -> Response {
        match files.get(uri.path().trim_start_matches('/')) {
            Some(file) => ([(CONTENT_TYPE, file.content_type)], file.body.clone()).into_response(),
            // Browsers ask for it by themselves.
            None if uri.path() == "/favicon.ico" => StatusCode::NO_CONTENT.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
    let files: Files = public_files(board).into_iter().map(|file| (file.path.clone(), file)).collect();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(files.into());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Runs Python with the readers of status pages.
async fn read(script: &'static str, url: &str) -> Value {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join(".local/engines/status-readers");
    assert!(packages.exists(), "`make engines` fetches {}", packages.display());
    let mut command = Command::new("python3");
    command.args(["-c", script]).env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let input = json!({ "url": url }).to_string();
    let run = move || {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn document(board: &Board, endpoint: &str) -> Value {
    let path = format!("api/v2/{endpoint}.json");
    let file = public_files(board).into_iter().find(|file| file.path == path).unwrap();
    assert_eq!(file.content_type, "application/json; charset=utf-8");
    serde_json::from_slice(&file.body).unwrap()
}

/// What does not fit, of each document.
fn misfits(documents: &[Value]) -> Vec<Vec<String>> {
    let schema = include_str!("../fixtures/status/statuspage-v2.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let said = python(VALIDATOR, json!({"schema": schema, "documents": documents}).to_string().as_bytes());
    serde_json::from_str(&said).unwrap()
}

#[test]
fn every_endpoint_has_the_shape_of_statuspage_in_every_situation() {
    let mut documents = Vec::new();
    for (name, board) in situations() {
        for (endpoint, shape) in ENDPOINTS {
            let body = document(&board, endpoint);
            documents.push(json!({"what": format!("{name}: {endpoint}"), "shape": shape, "body": body}));
        }
    }
    assert_eq!(misfits(&documents).concat(), [""; 0]);
}

#[test]
fn the_shape_refuses_what_statuspage_does_not_have() {
    let summary = document(&board(), "summary");
    let spoilt = [
        ("/components/0/status", json!("unknown")),
        ("/components/0/colour", json!("red")),
        ("/components/0/position", json!("1")),
        ("/components/0/created_at", json!("2026-04-29T12:00:00Z")),
        ("/components/0/components", json!(["api"])),
        ("/components/0/state", json!("unknown")),
        ("/incidents", Value::Null),
        ("/incidents/0/components", Value::Null),
        ("/incidents/0/status", json!("scheduled")),
        ("/incidents/0/impact", json!("bad")),
        ("/incidents/0/incident_updates/0/affected_components", Value::Null),
        ("/scheduled_maintenances/0/impact", json!("none")),
        ("/scheduled_maintenances/0/status", json!("cancelled")),
        ("/status/indicator", json!("unknown")),
        ("/page/time_zone", Value::Null),
    ];
    let documents: Vec<Value> = spoilt
        .iter()
        .map(|(place, value)| {
            let mut body = summary.clone();
            let (parent, key) = place.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[key] = value.clone();
            json!({"what": place, "shape": "summary", "body": body})
        })
        .collect();
    for (said, (place, value)) in misfits(&documents).iter().zip(&spoilt) {
        assert!(!said.is_empty(), "{place} may be {value}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_of_statuspage_read_an_ordinary_bad_day() {
    let told = read(CLIENTS, &serve(&board()).await).await;
    let expected = json!({
        "success": true, "status": 0, "raw_status": "major", "status_text": "Major Outage",
        "details": "API: many requests fail (affects: API) - https://status.example.com/incidents/inc0001.html",
        "component_metadata": [
            {"name": "API", "status": "partial_outage", "status_value": 0},
            {"name": "Features", "status": "operational", "status_value": 1},
            {"name": "Search & fingerprints", "status": "operational", "status_value": 1},
            {"name": "Profiles", "status": "operational", "status_value": 1},
        ],
        "incident_metadata": [{
            "id": "inc0001", "name": "API: many requests fail", "status": "identified", "impact": "major",
            "started_at": "2026-04-29T12:00:05.000Z", "updated_at": "2026-04-29T12:20:00.000Z",
            "shortlink": "https://status.example.com/incidents/inc0001.html", "affected_components": ["API"],
        }],
        "maintenance_metadata": [{
            "id": "mnt0001", "name": "Larger database", "status": "scheduled",
            "scheduled_start": "2026-05-02T02:00:00.000Z", "scheduled_end": "2026-05-02T03:00:00.000Z",
            "shortlink": "https://status.example.com/index.html#m-mnt0001",
            "affected_components": ["Search & fingerprints"],
        }],
    });
    assert_eq!(told["exporter"], expected);

    let checked = &told["statuscheck"];
    let status =
        json!({"code": "major", "name": "Major outage", "description": "Partial System Outage", "is_ok": false});
    assert_eq!(checked["status"], status);
    let states: Vec<&Value> = checked["components"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(states, ["Partial outage", "Operational", "Operational", "Operational"]);
    let events: Vec<(&Value, &Value, &Value)> = checked["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (&event["id"], &event["status"], &event["components"][0]["status"]))
        .collect();
    assert_eq!(
        events,
        [
            (&json!("inc0001"), &json!("identified"), &json!("Partial outage")),
            (&json!("mnt0001"), &json!("scheduled"), &json!("Operational")),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_of_statuspage_read_every_situation_and_take_nothing_unknown_for_well() {
    for (name, board) in situations() {
        let told = read(CLIENTS, &serve(&board).await).await;
        let (exporter, checked) = (&told["exporter"], &told["statuscheck"]);
        assert_eq!(exporter["success"], true, "{name}: {exporter}");
        let open = board.incidents.iter().filter(|incident| !incident.status.is_over()).count().min(50);
        assert_eq!(exporter["incident_metadata"].as_array().unwrap().len(), open, "{name}");
        let is_well = board.components.iter().all(|one| one.state == ComponentState::Operational) && open == 0;
        assert_eq!(
            (&exporter["status"], &checked["status"]["is_ok"]),
            (&json!(u8::from(is_well)), &json!(is_well)),
            "{name}"
        );
    }
    let told = read(CLIENTS, &serve(&nothing_known()).await).await;
    assert_eq!(told["statuscheck"]["status"]["description"], "Status unknown: no data yet");
    let components = told["statuscheck"]["components"].as_array().unwrap();
    assert!(components.iter().all(|one| one["status"] == "Degraded performance"), "{components:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feedparser_reads_both_feeds_without_complaint() {
    for (name, board) in situations() {
        let told = read(FEEDS, &serve(&board).await).await;
        for (feed, version) in [("history.atom", "atom10"), ("history.rss", "rss20")] {
            let told = &told[feed];
            let sound = (&told["bozo"], &told["version"], &told["status"]);
            let expected = (&json!(false), &json!(version), &json!(200));
            assert_eq!(sound, expected, "{name}: {feed}: {}", told["error"]);
            let count = (board.incidents.len() + board.maintenances.len()).min(50);
            assert_eq!(told["entries"].as_array().unwrap().len(), count, "{name}: {feed}");
        }
        let strip = |feed: &str| told[feed]["entries"].clone();
        assert_eq!(strip("history.atom"), strip("history.rss"), "{name}: both tell the same");
    }
    let told = read(FEEDS, &serve(&board()).await).await;
    let entries = told["history.atom"]["entries"].as_array().unwrap();
    let ids: Vec<&str> = entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    let expected = ["inc0001", "mnt0001", "inc0000"].map(|id| format!("tag:status.example.com,2005:Incident/{id}"));
    assert_eq!(ids, expected, "what changed last is first");
    assert_eq!(entries[0]["published"], 1_777_464_060);
    assert_eq!(entries[0]["updated"], 1_777_465_200);
    assert_eq!(entries[0]["link"], "https://status.example.com/incidents/inc0001.html");
    let text = entries[0]["text"].as_str().unwrap();
    assert!(text.contains("Identified - We know why.Requests < 1 MB & plain ones work."), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_revised_in_place() {
    let before = board();
    let mut after = board();
    let incident = &mut after.incidents[0];
    incident.updated_at = incident.updated_at.plus(600_000);
    let mut update = incident.updates[0].clone();
    (update.id, update.body, update.created_at) =
        ("upd0003".to_owned(), "A fix is out.".to_owned(), incident.updated_at);
    incident.updates.insert(0, update);
    let (before, after) = (read(FEEDS, &serve(&before).await).await, read(FEEDS, &serve(&after).await).await);
    for feed in ["history.atom", "history.rss"] {
        let (before, after) = (&before[feed]["entries"], &after[feed]["entries"]);
        let seconds = |entries: &Value, key: &str| entries[0][key].as_i64().unwrap();
        assert_eq!(before.as_array().unwrap().len(), after.as_array().unwrap().len());
        assert_eq!((&before[0]["id"], &before[0]["published"]), (&after[0]["id"], &after[0]["published"]));
        assert_eq!(seconds(after, "updated") - seconds(before, "updated"), 600);
        assert!(after[0]["text"].as_str().unwrap().contains("A fix is out."));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_people_are_words_in_feeds_whatever_they_are() {
    let (_, hostile) = situations().into_iter().find(|(name, _)| *name == "hostile words").unwrap();
    let told = read(FEEDS, &serve(&hostile).await).await;
    // What XML cannot hold is gone, the rest is as it was.
    let plain: Vec<&str> = HOSTILE.split(|c: char| c.is_control() || c == '\u{fffe}').map(str::trim).collect();
    for feed in ["history.atom", "history.rss"] {
        let entry = &told[feed]["entries"][0];
        for part in plain.iter().filter(|part| !part.is_empty()) {
            assert!(entry["text"].as_str().unwrap().contains(part), "{feed}: {part} is not in {}", entry["text"]);
        }
    }
    for file in public_files(&hostile) {
        let text = String::from_utf8(file.body).unwrap();
        let is_xml = [".atom", ".rss", ".svg"].iter().any(|end| file.path.ends_with(end));
        assert!(!is_xml || !text.contains("<script"), "{}", file.path);
        let has_control = text.chars().any(|c| c.is_control() && c != '\n');
        assert!(!is_xml || !has_control, "{}", file.path);
    }
}

/// The colour of a pixel of what is on the screen.
fn pixel(browser: &mut Browser, x: u64, y: u64) -> String {
    let answer = browser.call("Page.captureScreenshot", json!({"format": "png"}));
    let picture = answer["data"].as_str().unwrap();
    let script = format!(
        "(async () => {{
            const image = new Image();
            image.src = 'data:image/png;base64,{picture}';
            await image.decode();
            const canvas = document.createElementNS('http://www.w3.org/1999/xhtml', 'canvas');
            [canvas.width, canvas.height] = [image.width, image.height];
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            const data = context.getImageData({x}, {y}, 1, 1).data;
            return '#' + [...data].slice(0, 3).map(v => v.toString(16).padStart(2, '0')).join('');
        }})()"
    );
    browser.eval(&script).as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_shows_the_badge_in_words_and_colours() {
    let mut browser = Browser::start();
    let boards = [
        (board(), "Acme <API>: partial outage", "#b04a00"),
        (well(), "Acme <API>: operational", "#1a7f37"),
        (nothing_known(), "Acme <API>: unknown", "#57606a"),
    ];
    for (board, label, color) in boards {
        let url = serve(&board).await;
        browser.open(&format!("{url}/badge.svg"));
        assert_eq!(browser.troubles(&url), [""; 0]);
        assert_eq!(browser.eval("document.documentElement.getAttribute('role')"), "img");
        assert_eq!(browser.eval("document.documentElement.getAttribute('aria-label')"), label);
        assert!(
            browser.eval("document.querySelector('title').textContent").as_str().unwrap().starts_with("Acme <API>: ")
        );
        let width = browser.eval("document.documentElement.getBoundingClientRect().width").as_u64().unwrap();
        assert_eq!(
            (pixel(&mut browser, 2, 10), pixel(&mut browser, width - 2, 10)),
            ("#444c56".to_owned(), color.to_owned())
        );
        // The words are within their halves.
        let over = "[...document.querySelectorAll('text')].map(t => t.getBBox()).map(b => [b.x, b.x + b.width])";
        let halves = "[...document.querySelectorAll('rect')].map(r => r.getBBox()).map(b => [b.x, b.x + b.width])";
        let (texts, halves) = (browser.eval(over), browser.eval(halves));
        for at in 0..2 {
            let edge = |places: &Value, side: usize| places[at][side].as_f64().unwrap();
            assert!(edge(&texts, 0) > edge(&halves, 0) && edge(&texts, 1) < edge(&halves, 1), "{texts} in {halves}");
        }
        let shield = public_files(&board).into_iter().find(|file| file.path == "badge.json").unwrap();
        let shield: Value = serde_json::from_slice(&shield.body).unwrap();
        let message = label.split(": ").nth(1).unwrap();
        let expected = json!({"schemaVersion": 1, "label": "Acme <API>", "message": message, "color": color});
        assert_eq!(shield, expected);
        // The pictures were data, which is not of the page.
        browser.troubles(&url);
    }
}
