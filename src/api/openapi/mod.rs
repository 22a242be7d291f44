//! `/api/v1/openapi.json`: the whole API for programs (OpenAPI 3.1).
//!
//! Made of the list of operations (`operations`) and of the schemas of bodies (`schemas.json`). `docs/openapi.json` is the
//! same, committed; tests hold it to this, this to the router, and the schemas to what is really answered.

mod operations;

use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use super::problem::ProblemCode;
use crate::query::ResultFormat;
use operations::{Body, OPERATIONS, Operation, Place};

const SCHEMAS: &str = include_str!("schemas.json");

/// `/api/v1/openapi.json`.
pub(super) async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text())
}

/// The document, as it is committed.
#[must_use]
pub fn text() -> String {
    // A tree of texts and numbers always serialises.
    serde_json::to_string_pretty(&openapi()).unwrap_or_default() + "\n"
}

fn openapi() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Floodmark",
            "summary": "Who is flooding an API platform: alerts, incidents, and the tables behind them.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "`floodmark token new` makes one." },
            },
            "schemas": schemas(),
            "responses": { "Problem": problem() },
        },
    })
}

fn schemas() -> Value {
    // Committed with the code, and read by a test.
    let mut schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let codes: Vec<&str> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
    schemas["Problem"]["properties"]["code"]["enum"] = json!(codes);
    schemas
}

fn problem() -> Value {
    json!({
        "description": "What went wrong.",
        "content": { "application/problem+json": { "schema": reference("Problem") } },
    })
}

fn described(operation: &Operation) -> Value {
    let mut value = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": {
            "200": { "description": operation.answers.0, "content": content(operation.answers.1) },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    if !operation.parameters.is_empty() {
        value["parameters"] = operation.parameters.iter().map(parameter).collect();
    }
    if let Some(body) = operation.takes {
        value["requestBody"] = json!({ "required": operation.needs_body, "content": content(body) });
    }
    value["security"] = match operation.scope {
        // Without tokens reading is open on loopback.
        Some(scope) => json!([{ "bearer": [scope.as_str()] }, {}]),
        None => json!([]),
    };
    value
}

fn parameter((name, place, description): &(&str, Place, &str)) -> Value {
    let is_path = *place == Place::Path;
    json!({
        "name": name,
        "in": if is_path { "path" } else { "query" },
        "required": is_path,
        "description": description,
        "schema": { "type": "string" },
    })
}

fn content(body: Body) -> Value {
    let of = |media_type: &str, schema: Value| json!({ media_type: { "schema": schema } });
    let any_of = |types: &[&str], schema: &Value| {
        types.iter().map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema }))).collect::<Map<_, _>>()
    };
    match body {
        Body::Json(schema) => of("application/json", reference(schema)),
        Body::Text(media_type) => of(media_type, json!({ "type": "string" })),
        Body::Rows => {
            let mut content = any_of(&ResultFormat::ALL.map(ResultFormat::media_type), &json!({}));
            content[ResultFormat::Json.media_type()] = json!({ "schema": reference("Rows") });
            Value::Object(content)
        }
        Body::Sql => {
            let mut content = any_of(&["text/plain", "application/sql"], &json!({ "type": "string" }));
            content.insert("application/json".to_owned(), json!({ "schema": reference("Sql") }));
            Value::Object(content)
        }
        Body::RowsOrExplanation => {
            let mut content = content(Body::Rows);
            content["application/json"]["schema"] = json!({ "anyOf": [reference("Rows"), reference("Explanation")] });
            content
        }
        Body::Parameters => {
            of("application/json", json!({ "type": "object", "additionalProperties": { "type": "string" } }))
        }
        Body::Records => Value::Object(any_of(&["application/x-ndjson", "application/json"], &json!({}))),
        Body::Otlp => Value::Object(any_of(&["application/x-protobuf", "application/json"], &json!({}))),
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn committed() -> std::path::PathBuf {
        concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json").into()
    }

    #[test]
    fn the_committed_document_is_this_one() {
        if std::env::var_os("FLOODMARK_UPDATE_OPENAPI").is_some() {
            std::fs::write(committed(), text()).unwrap();
        }
        let committed = std::fs::read_to_string(committed()).unwrap_or_default();
        assert!(committed == text(), "docs/openapi.json has drifted: run this test with FLOODMARK_UPDATE_OPENAPI=1");
    }

    #[test]
    fn every_route_is_described_and_every_description_is_a_route() {
        let router = include_str!("../mod.rs");
        let routes = router.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let routes: BTreeSet<&str> = routes.chain(super::super::intake::PATHS).collect();
        let described: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.path).collect();
        assert_eq!(routes, described);
        let ids: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), OPERATIONS.len(), "an id is there twice");
    }

    #[test]
    fn every_schema_that_is_named_is_there_and_every_one_that_is_there_is_named() {
        let text = text();
        let pieces = text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
        let named: BTreeSet<String> = pieces.map(str::to_owned).collect();
        let there: BTreeSet<String> = schemas().as_object().unwrap().keys().cloned().collect();
        assert_eq!(named, there);
    }

    #[test]
    fn parameters_of_a_path_are_described() {
        for operation in OPERATIONS {
            let in_path: BTreeSet<&str> =
                operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            let described: BTreeSet<&str> = operation
                .parameters
                .iter()
                .filter(|(_, place, _)| *place == Place::Path)
                .map(|(name, ..)| *name)
                .collect();
            assert_eq!(in_path, described, "{}", operation.path);
        }
    }
}
