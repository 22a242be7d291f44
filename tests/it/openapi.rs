//! The description of the API for programs: valid by an independent validator, true of what is answered, and the same as the
//! table for people.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use floodmark::config::Scope;
use serde_json::{Value, json};

use crate::support::questions::{Questions, token};

/// Reads `{"document", "answers": [{"what", "schema", "body"}]}` and says what does not fit.
pub const VALIDATOR: &str = r##"
import json, sys
from openapi_spec_validator import OpenAPIV31SpecValidator
from jsonschema import Draft202012Validator, FormatChecker
given = json.load(sys.stdin)
document = given["document"]
said = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
for answer in given["answers"]:
    schema = {"components": document["components"], **answer["schema"]}
    for error in Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(answer["body"]):
        said.append(f"{answer['what']}: {error.json_path}: {error.message}")
print(json.dumps(said))
"##;

/// Runs Python with the packages of the tests.
pub fn python(script: &str, input: &[u8]) -> String {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join(".local/engines/python-readers");
    assert!(packages.exists(), "`make engines` fetches {}", packages.display());
    let mut child = Command::new("python3")
        .args(["-c", script])
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

/// What the document says of an operation's answer.
fn schema(document: &Value, method: &str, path: &str) -> Value {
    let answer = &document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(answer.is_object(), "{method} {path} has no schema");
    answer.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_valid_and_answers_are_what_it_says() {
    let all = [Scope::Read, Scope::Query, Scope::Admin, Scope::Ingest];
    let questions = Questions::start(|setup| setup.config.http.tokens = vec![token("all", &all, None)]).await;
    let document: Value = questions.get("all", "/api/v1/openapi.json").await.json().await.unwrap();
    let mut answers = Vec::new();
    let asked = [
        ("get", "/livez", "/livez", ""),
        ("get", "/readyz", "/readyz", ""),
        ("get", "/api/v1/alerts", "/api/v1/alerts", ""),
        ("get", "/api/v1/alerts/history", "/api/v1/alerts/history", ""),
        ("get", "/api/v1/incidents", "/api/v1/incidents", ""),
        ("get", "/api/v1/pages", "/api/v1/pages", ""),
        (
            "post",
            "/api/v1/silences",
            "/api/v1/silences",
            r#"{"matchers": ["service=\"api\""], "for": "1h", "reason": "x"}"#,
        ),
        ("get", "/api/v1/silences", "/api/v1/silences", ""),
        ("post", "/-/reload", "/-/reload", ""),
        ("post", "/api/v1/events", "/api/v1/events", "{}\n"),
        ("get", "/api/v1/queries", "/api/v1/queries", ""),
        ("get", "/api/v1/queries/{name}", "/api/v1/queries/server_time", ""),
        ("get", "/api/v1/queries/{name}/results", "/api/v1/queries/server_time/results", ""),
        ("post", "/api/v1/queries/{name}/results", "/api/v1/queries/server_time/results", ""),
        ("post", "/api/v1/sql", "/api/v1/sql", "SELECT count() FROM requests"),
        ("post", "/api/v1/sql", "/api/v1/sql?explain=true", "SELECT count() FROM requests"),
        ("get", "/api/v1/series", "/api/v1/series", ""),
        (
            "get",
            "/api/v1/query_range",
            "/api/v1/query_range?series=requests_per_second&start=1772359200&end=1772362800",
            "",
        ),
        (
            "get",
            "/api/v1/limits/what-if",
            "/api/v1/limits/what-if?limit=100/min&sweep=10/min..1000/min&since=2026-03-01T10:00:00Z&until=2026-03-01T14:00:00Z",
            "",
        ),
        (
            "post",
            "/api/v1/limits/what-if",
            "/api/v1/limits/what-if",
            r#"{"limit": "10/s", "since": "2026-03-01T10:00:00Z", "until": "2026-03-01T14:00:00Z", "plans": {"free": ["acme"]}}"#,
        ),
        ("get", "/api/v1/incidents/{id}", "/api/v1/incidents/never", ""),
        ("post", "/api/v1/sql", "/api/v1/sql", "SELECT * FROM system.processes"),
    ];
    for (method, template, path, body) in asked {
        let url = questions.service.url(path);
        let request = match method {
            "get" => questions.service.client().get(url),
            _ => questions.service.client().post(url).body(body),
        };
        let response = request.bearer_auth("all").send().await.unwrap();
        let is_good = response.status().is_success() || path == "/readyz";
        let body: Value = response.json().await.unwrap();
        let described = schema(&document, method, template);
        let problem = json!({"$ref": "#/components/schemas/Problem"});
        let expected = if is_good { described } else { problem };
        answers.push(json!({"what": format!("{method} {path}: {body}"), "schema": expected, "body": body}));
    }
    let input = json!({"document": document, "answers": answers}).to_string();
    let said = tokio::task::spawn_blocking(move || python(VALIDATOR, input.as_bytes())).await.unwrap();
    let said: Vec<String> = serde_json::from_str(&said).unwrap();
    assert!(said.is_empty(), "{said:#?}");
}

#[test]
fn the_table_of_the_documentation_is_the_document() {
    let document: Value = serde_json::from_str(&floodmark::api::openapi::text()).unwrap();
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let scope = operation["security"][0]["bearer"][0].as_str().unwrap_or("none");
            described.insert(format!("`{} {path}` | {scope}", method.to_uppercase()));
        }
    }
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    let (_, table) = text.split_once("\n## Endpoints\n").unwrap();
    let rows = table.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
    let told: BTreeSet<String> =
        rows.map(|row| row.trim_start_matches("| ").splitn(3, " | ").take(2).collect::<Vec<_>>().join(" | ")).collect();
    assert_eq!(told, described);
}
